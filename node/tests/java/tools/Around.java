import java.util.List;
import java.util.Properties;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** What a script needs beside the tools: records with a time of their own, and waiting for what takes a moment. */
final class Around {
    private static final long PATIENCE_MS = 40_000;

    private Around() {}

    static void act(String broker, String verb, List<String> words) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        if (verb.equals("record")) {
            record(properties, words);
            return;
        }
        try (Admin admin = Admin.create(properties)) {
            String name = words.get(0);
            switch (verb) {
                case "topic" -> until(words, () -> admin.listTopics().names().get().contains(name)
                    && admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size() == Integer.parseInt(words.get(1)));
                case "gone" -> until(words, () -> !admin.listTopics().names().get().contains(name));
                case "group" -> until(words, () -> settled(admin, name, Integer.parseInt(words.get(1))));
                case "settled" -> until(words, () -> committed(admin, name) >= Integer.parseInt(words.get(1)));
                default -> throw new IllegalArgumentException(verb);
            }
        }
    }

    private static boolean settled(Admin admin, String group, int members) throws Exception {
        ConsumerGroupDescription description;
        try {
            description = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        } catch (java.util.concurrent.ExecutionException notYet) {
            return false;
        }
        return description.members().size() == members
            && description.members().stream().allMatch(member -> !member.assignment().topicPartitions().isEmpty());
    }

    /** How many partitions the group has committed. */
    private static long committed(Admin admin, String group) throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().size();
    }

    /** record TOPIC PARTITION TIME KEY VALUE */
    private static void record(Properties properties, List<String> words) throws Exception {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>(words.get(0), Integer.valueOf(words.get(1)), Long.valueOf(words.get(2)),
                words.get(3), words.get(4))).get();
        }
    }

    private static void until(List<String> what, Callable<Boolean> holds) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!holds.call()) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException("still not so: " + what);
            }
            Thread.sleep(50);
        }
    }
}
