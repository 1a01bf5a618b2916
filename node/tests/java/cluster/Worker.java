import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Java's client beside the faults of a cluster: it writes down what it lives through, one line an event.
 *
 * <pre>
 * Worker produce BROKERS TOPIC PARTITIONS NOTES STOP NUMBER
 * Worker consume BROKERS TOPIC GROUP NOTES STOP
 * </pre>
 *
 * The producer is idempotent and waits for all replicas, which are the client's defaults.
 */
public final class Worker {
    private static final Duration POLL = Duration.ofMillis(100);
    private static final long BEFORE_EACH_MS = 3;
    private static final String SESSION_MS = "6000";

    private final String brokers;
    private final String topic;
    private final Notes notes;
    private final Path stop;

    private Worker(String[] words) throws Exception {
        brokers = words[1];
        topic = words[2];
        notes = new Notes(Path.of(words[4]));
        stop = Path.of(words[5]);
    }

    public static void main(String[] words) throws Exception {
        Worker worker = new Worker(words);
        if (words[0].equals("produce")) {
            worker.produce(Integer.parseInt(words[3]), words[6]);
        } else {
            worker.consume(words[3]);
        }
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", brokers);
        properties.put("reconnect.backoff.max.ms", "300");
        properties.put("request.timeout.ms", "5000");
        return properties;
    }

    private void produce(int partitions, String name) throws Exception {
        Properties properties = properties();
        properties.put("linger.ms", "5");
        properties.put("delivery.timeout.ms", "120000");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (int index = 0; Files.notExists(stop); index++) {
                int number = index;
                int partition = number % partitions;
                String value = name + "." + number + "@" + partition + ":";
                notes.note("sent", partition, number);
                producer.send(new ProducerRecord<>(topic, partition, null, value), (metadata, error) -> {
                    if (error == null) {
                        notes.note("acked", partition, number, metadata.offset());
                    } else {
                        notes.note("failed", partition, number, error);
                    }
                });
                Thread.sleep(BEFORE_EACH_MS);
            }
        }
        notes.note("ended", 0);
    }

    private void consume(String group) throws Exception {
        Properties properties = properties();
        properties.put("group.id", group);
        properties.put("session.timeout.ms", SESSION_MS);
        properties.put("heartbeat.interval.ms", "500");
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            Map<TopicPartition, OffsetAndMetadata> following = new HashMap<>();
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    commit(consumer, following);
                    notes.note("revoked", listed(partitions));
                }

                @Override
                public void onPartitionsLost(Collection<TopicPartition> partitions) {
                    following.clear();
                    notes.note("revoked", listed(partitions));
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    notes.note("assigned", consumer.groupMetadata().generationId(), listed(partitions));
                }
            });
            while (Files.notExists(stop)) {
                for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
                    notes.note("record", record.partition(), record.offset(), record.value());
                    following.put(new TopicPartition(topic, record.partition()), new OffsetAndMetadata(record.offset() + 1));
                }
                commit(consumer, following);
            }
        } catch (RuntimeException error) {
            notes.note("fatal", error);
            throw error;
        }
    }

    private void commit(KafkaConsumer<String, String> consumer, Map<TopicPartition, OffsetAndMetadata> following) {
        following.forEach((partition, offset) -> notes.note("committing", partition.partition(), offset.offset()));
        if (!following.isEmpty()) {
            try {
                consumer.commitSync(following);
                following.forEach((partition, offset) -> notes.note("committed", partition.partition(), offset.offset()));
            } catch (RuntimeException error) {
                notes.note("said", "commit:", error);
            }
        }
        following.clear();
    }

    private static String listed(Collection<TopicPartition> partitions) {
        String list = partitions.stream().map(TopicPartition::partition).sorted().map(String::valueOf).collect(Collectors.joining(","));
        return list.isEmpty() ? "-" : list;
    }
}
