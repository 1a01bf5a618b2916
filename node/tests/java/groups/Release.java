import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.utils.AppInfoParser;

/** Calls that have another name, or do not exist, in some of the client's releases. */
final class Release {
    private Release() {}

    /** Whether the client is of this release or a later one. */
    static boolean since(int major, int minor) {
        String[] parts = AppInfoParser.getVersion().split("\\.");
        int ours = Integer.parseInt(parts[0]) * 1_000 + Integer.parseInt(parts[1]);
        return ours >= major * 1_000 + minor;
    }

    @SuppressWarnings("unchecked")
    static Map<String, TopicDescription> topics(Admin admin, String... names) throws Exception {
        Object result = admin.describeTopics(List.of(names));
        return ((KafkaFuture<Map<String, TopicDescription>>) call(result, since(3, 1) ? "allTopicNames" : "all")).get();
    }

    /** The state's name as every release prints it. */
    static String state(ConsumerGroupDescription description) throws Exception {
        return call(description, since(4, 0) ? "groupState" : "state").toString();
    }

    static String state(ConsumerGroupListing listing) throws Exception {
        return call(listing, since(4, 0) ? "groupState" : "state").toString();
    }

    /** How far behind the end the consumer knows to be; absent before release 3.0, which cannot say. */
    static OptionalLong lag(Consumer<?, ?> consumer, TopicPartition partition) throws Exception {
        Stage.check(since(3, 0), "asked of a client that cannot say it");
        for (Method method : Consumer.class.getMethods()) {
            if (method.getName().equals("currentLag")) {
                return (OptionalLong) invoke(method, consumer, partition);
            }
        }
        throw new AssertionError("this release has no currentLag");
    }

    /** Calls a public method by its name and the number of its arguments. */
    static Object call(Object target, String name, Object... arguments) throws Exception {
        for (Method method : target.getClass().getMethods()) {
            if (method.getName().equals(name) && method.getParameterCount() == arguments.length) {
                return invoke(method, target, arguments);
            }
        }
        throw new NoSuchMethodException(target.getClass() + " has no " + name);
    }

    private static Object invoke(Method method, Object target, Object... arguments) throws Exception {
        try {
            method.setAccessible(true);
            return method.invoke(target, arguments);
        } catch (InvocationTargetException failure) {
            if (failure.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw failure;
        }
    }
}
