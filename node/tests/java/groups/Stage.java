import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What one scenario works with: a broker, names that nobody else uses, an administrator, and checks. */
final class Stage implements AutoCloseable {
    /** Longer than any rebalance, session or request may take on a busy machine. */
    private static final long PATIENCE_MS = 40_000;

    final String broker;
    final String name;
    final Admin admin;
    private final List<AutoCloseable> opened = new ArrayList<>();

    Stage(String broker, String name) {
        this.broker = broker;
        this.name = name;
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        this.admin = keep(Admin.create(properties));
    }

    <T extends AutoCloseable> T keep(T resource) {
        opened.add(resource);
        return resource;
    }

    @Override
    public void close() throws Exception {
        for (int index = opened.size() - 1; index >= 0; index--) {
            opened.get(index).close();
        }
    }

    /** Creates a topic of this scenario and waits until its log answers. */
    String topic(String suffix, int partitions) throws Exception {
        return topic(suffix, partitions, Map.of());
    }

    String topic(String suffix, int partitions, Map<String, String> configs) throws Exception {
        String topic = name + "-" + suffix;
        admin.createTopics(Set.of(new NewTopic(topic, Optional.of(partitions), Optional.empty()).configs(configs))).all().get();
        until("the topic " + topic + " is there", () -> {
            try {
                return Release.topics(admin, topic).get(topic).partitions().size() == partitions;
            } catch (ExecutionException notYet) {
                return false;
            }
        });
        return topic;
    }

    /** Sends values FROM up to TO (exclusive), each to the partition that is its remainder. */
    void send(String topic, int partitions, int from, int to) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        properties.put("linger.ms", "5");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (int value = from; value < to; value++) {
                sent.add(producer.send(new ProducerRecord<>(topic, value % partitions, "key", Integer.toString(value))));
            }
        }
        for (Future<RecordMetadata> one : sent) {
            one.get();
        }
    }

    /** Properties of a consumer in the group of that name; pairs of settings replace the usual ones. */
    Properties consumerProperties(String group, String... settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        if (group != null) {
            properties.put("group.id", name + "-" + group);
        }
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("session.timeout.ms", "6000");
        properties.put("heartbeat.interval.ms", "500");
        properties.put("fetch.max.wait.ms", "50");
        properties.put("metadata.max.age.ms", "1000");
        for (int index = 0; index < settings.length; index += 2) {
            properties.put(settings[index], settings[index + 1]);
        }
        return properties;
    }

    KafkaConsumer<String, String> consumer(String group, String... settings) {
        return keep(new KafkaConsumer<>(consumerProperties(group, settings), new StringDeserializer(), new StringDeserializer()));
    }

    /** Polls until that many records came, and no more than that. */
    static List<ConsumerRecord<String, String>> read(Consumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (got.size() < count) {
            check(System.currentTimeMillis() < deadline, "only " + got.size() + " of " + count + " records came");
            consumer.poll(java.time.Duration.ofMillis(200)).forEach(got::add);
        }
        check(got.size() == count, got.size() + " records came instead of " + count);
        return got;
    }

    /** The offsets committed by a group of this scenario, without what else stands beside them. */
    Map<TopicPartition, Long> committed(String group) throws Exception {
        Map<TopicPartition, Long> offsets = new HashMap<>();
        Map<TopicPartition, OffsetAndMetadata> all = admin.listConsumerGroupOffsets(name + "-" + group).partitionsToOffsetAndMetadata().get();
        all.forEach((partition, offset) -> {
            if (offset != null) {
                offsets.put(partition, offset.offset());
            }
        });
        return offsets;
    }

    static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    static void same(Object want, Object got, String what) {
        check(want.equals(got), what + ": " + got + " instead of " + want);
    }

    static void until(String what, Callable<Boolean> holds) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!holds.call()) {
            check(System.currentTimeMillis() < deadline, "still not so: " + what);
            Thread.sleep(50);
        }
    }

    /** The call must fail with that error, directly or as the cause of a future's failure. */
    static void fails(Class<? extends Throwable> expected, Callable<?> call) throws Exception {
        Object result;
        try {
            result = call.call();
        } catch (Exception failure) {
            Throwable cause = failure instanceof ExecutionException ? failure.getCause() : failure;
            check(expected.isInstance(cause), "expected " + expected + ", got " + cause);
            return;
        }
        throw new AssertionError("expected " + expected + ", got " + result);
    }
}
