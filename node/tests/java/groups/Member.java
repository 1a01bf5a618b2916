import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** One consumer of a group with its own thread, which polls, commits what it got, and remembers what happened. */
final class Member implements AutoCloseable, ConsumerRebalanceListener {
    /** What is done with the consumer, in its thread. */
    interface Task<T> {
        T run(KafkaConsumer<String, String> consumer) throws Exception;
    }

    /** What the listener was told, in order. */
    record Change(String kind, Set<TopicPartition> partitions) {}

    private static final Duration POLL = Duration.ofMillis(50);

    private final KafkaConsumer<String, String> consumer;
    private final Thread thread;
    private final ConcurrentLinkedQueue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private final List<String> values = new ArrayList<>();
    private final List<Change> changes = new ArrayList<>();
    private volatile Set<TopicPartition> owned = Set.of();
    private volatile boolean stopping;
    private volatile Throwable failure;

    Member(Stage stage, Collection<String> topics, String group, String... settings) {
        consumer = new KafkaConsumer<>(stage.consumerProperties(group, settings), new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(topics, this);
        thread = new Thread(this::live, stage.name + " member");
        thread.start();
        stage.keep(this);
    }

    private void live() {
        try {
            while (!stopping) {
                for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
                    task.run();
                }
                List<String> got = new ArrayList<>();
                for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
                    got.add(record.value());
                }
                if (!got.isEmpty()) {
                    consumer.commitSync();
                    synchronized (this) {
                        values.addAll(got); // Seen by others once they are committed, which tests rely on.
                    }
                }
                owned = Set.copyOf(consumer.assignment());
            }
        } catch (Throwable thrown) {
            failure = thrown;
        } finally {
            consumer.close();
        }
    }

    /** Does something in the thread of the consumer, which is not safe for two. */
    <T> T ask(Task<T> task) throws Exception {
        CompletableFuture<T> done = new CompletableFuture<>();
        tasks.add(() -> {
            try {
                done.complete(task.run(consumer));
            } catch (Throwable thrown) {
                done.completeExceptionally(thrown);
            }
        });
        try {
            return done.get(60, TimeUnit.SECONDS);
        } catch (ExecutionException failed) {
            if (failed.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw failed;
        }
    }

    Set<TopicPartition> owned() {
        check();
        return owned;
    }

    /** What it got and committed. */
    synchronized List<String> values() {
        return new ArrayList<>(values);
    }

    synchronized List<Change> changes() {
        return new ArrayList<>(changes);
    }

    /** What ended the member, if something did. */
    Throwable failure() {
        return failure;
    }

    private void check() {
        if (failure != null) {
            throw new AssertionError("the member ended", failure);
        }
    }

    @Override
    public synchronized void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        changes.add(new Change("revoked", new HashSet<>(partitions)));
    }

    @Override
    public synchronized void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        changes.add(new Change("assigned", new HashSet<>(partitions)));
    }

    @Override
    public synchronized void onPartitionsLost(Collection<TopicPartition> partitions) {
        changes.add(new Change("lost", new HashSet<>(partitions)));
    }

    @Override
    public void close() throws InterruptedException {
        stopping = true;
        thread.join(60_000);
        Stage.check(!thread.isAlive(), "the member does not end");
    }
}
