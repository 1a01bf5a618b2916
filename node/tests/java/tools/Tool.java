import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

/** One run of a tool's main method in a thread of its own, with its own input, output, end and shutdown hooks. */
final class Tool {
    /** Thrown where the tool would have ended the process. */
    private static final class Ended extends Error {
        private static final long serialVersionUID = 1;
    }

    private static final Map<String, String> CLASSES = Map.ofEntries(
        Map.entry("topics", "org.apache.kafka.tools.TopicCommand"),
        Map.entry("configs", "kafka.admin.ConfigCommand"),
        Map.entry("console-producer", "org.apache.kafka.tools.ConsoleProducer"),
        Map.entry("console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
        Map.entry("consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
        Map.entry("get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
        Map.entry("delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
        Map.entry("log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
        Map.entry("broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
        Map.entry("producer-perf-test", "org.apache.kafka.tools.ProducerPerformance"),
        Map.entry("consumer-perf-test", "org.apache.kafka.tools.ConsumerPerformance"),
        Map.entry("metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
        Map.entry("leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
        Map.entry("reassign-partitions", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
        Map.entry("features", "org.apache.kafka.tools.FeatureCommand"),
        Map.entry("cluster", "org.apache.kafka.tools.ClusterTool"));
    /** Where they were before they moved. */
    private static final Map<String, String> CLASSES_OF_THE_THIRD_SERIES = Map.of(
        "console-producer", "kafka.tools.ConsoleProducer",
        "broker-api-versions", "kafka.admin.BrokerApiVersionsCommand");
    /** Longer than any of them takes. */
    private static final long PATIENCE_MS = 60_000;

    private static final PrintStream PROCESS = System.err;
    private static final InheritableThreadLocal<Tool> CURRENT = new InheritableThreadLocal<>();

    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private final InputStream input;
    private final List<Runnable> hooks = new ArrayList<>();
    private final Thread thread;
    private volatile Integer status;

    Tool(String name, String release, String broker, List<String> words, String input) {
        this.input = new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8));
        String moved = release.startsWith("3.") ? CLASSES_OF_THE_THIRD_SERIES.get(name) : null;
        String type = moved != null ? moved : CLASSES.get(name);
        if (type == null) {
            throw new IllegalArgumentException("no tool is called " + name);
        }
        List<String> arguments = new ArrayList<>(words);
        if (!name.equals("producer-perf-test")) {
            // This one has a parser for each of its commands, and each has the option.
            int at = name.equals("cluster") ? 1 : 0;
            arguments.addAll(at, List.of("--bootstrap-server", broker));
        }
        thread = new Thread(() -> run(type, arguments.toArray(String[]::new)), name);
        thread.start();
    }

    /** Puts this program between the tools and the process: streams, exits and hooks are of the tool whose thread asks. */
    static void takeOver() {
        System.setOut(new PrintStream(new ToCurrent(), true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new ToCurrent(), true, StandardCharsets.UTF_8));
        System.setIn(new InputStream() {
            @Override
            public int read() throws IOException {
                return CURRENT.get().input.read();
            }

            @Override
            public int read(byte[] bytes, int from, int count) throws IOException {
                return CURRENT.get().input.read(bytes, from, count);
            }
        });
        Exit.setExitProcedure((status, message) -> CURRENT.get().end(status, message));
        Exit.setHaltProcedure((status, message) -> CURRENT.get().end(status, message));
        Exit.setShutdownHookAdder((name, hook) -> CURRENT.get().hooks.add(hook));
    }

    private static final class ToCurrent extends OutputStream {
        @Override
        public void write(int one) {
            write(new byte[] {(byte) one}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int from, int count) {
            Tool tool = CURRENT.get();
            if (tool == null) {
                PROCESS.write(bytes, from, count);
                return;
            }
            synchronized (tool.output) {
                // What a tool says after its end is that it caught it.
                if (tool.status == null) {
                    tool.output.write(bytes, from, count);
                }
            }
        }
    }

    private void end(int code, String message) {
        if (message != null) {
            System.err.println(message);
        }
        // A tool that catches everything would end a second time, with another status.
        status = status == null ? Integer.valueOf(code) : status;
        throw new Ended();
    }

    private void run(String type, String[] arguments) {
        CURRENT.set(this);
        try {
            Class<?> tool = Class.forName(type);
            forget(tool);
            tool.getMethod("main", String[].class).invoke(null, (Object) arguments);
            status = status == null ? Integer.valueOf(0) : status;
        } catch (InvocationTargetException failure) {
            if (!(failure.getCause() instanceof Ended)) {
                failure.getCause().printStackTrace();
                status = 1;
            }
        } catch (ReflectiveOperationException failure) {
            throw new IllegalStateException(type, failure);
        } finally {
            // Producers flush in their hook.
            hooks.forEach(Runnable::run);
        }
    }

    /** The consumer counts in a static field, as nobody runs it twice in a process. */
    private static void forget(Class<?> tool) throws ReflectiveOperationException {
        for (Field field : tool.getDeclaredFields()) {
            if (field.getName().equals("messageCount")) {
                field.setAccessible(true);
                field.setInt(null, 0);
            }
        }
    }

    /** What Ctrl-C does. */
    void interrupt() {
        List.copyOf(hooks).forEach(Runnable::run);
    }

    int await() throws InterruptedException {
        thread.join(PATIENCE_MS);
        if (thread.isAlive()) {
            throw new IllegalStateException(thread.getName() + " does not end, it printed: " + output());
        }
        return status;
    }

    String output() {
        synchronized (output) {
            return output.toString(StandardCharsets.UTF_8);
        }
    }
}
