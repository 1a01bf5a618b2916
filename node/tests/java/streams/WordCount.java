import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Kafka Streams' word count: lines in, counts out, and in the middle the application is stopped, loses its local state, and starts
 * again. At the end every count is exact.
 *
 * <pre>
 * WordCount BROKER STATE_FOLDER
 * </pre>
 */
public final class WordCount {
    private static final int PARTITIONS = 3;
    private static final int LINES = 3_000;
    private static final long PATIENCE_MS = 90_000;
    private static final String[] WORDS = "the broker keeps what it was given and gives back what it has kept".split(" ");

    private final String broker;
    private final String folder;
    private final String name = "word-count-" + Long.toString(System.currentTimeMillis(), 36);
    private final Map<String, Long> expected = new HashMap<>();
    private final Random random = new Random(7);

    private WordCount(String broker, String folder) {
        this.broker = broker;
        this.folder = folder;
    }

    public static void main(String[] arguments) throws Exception {
        new WordCount(arguments[0], arguments[1]).run();
        System.out.println("every count is exact");
        System.exit(0);
    }

    private String input() {
        return name + "-lines";
    }

    private String output() {
        return name + "-counts";
    }

    private void run() throws Exception {
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", broker))) {
            List<NewTopic> topics = List.of(new NewTopic(input(), PARTITIONS, (short) 1), new NewTopic(output(), PARTITIONS, (short) 1));
            admin.createTopics(topics).all().get();
            until("the topics are there", () -> admin.listTopics().names().get().containsAll(Set.of(input(), output())));
            send(LINES);
            try (KafkaStreams first = start()) {
                until("some words are counted", () -> counted() > 0);
                send(LINES);
            }
            try (KafkaStreams second = start()) {
                send(LINES);
                until("all words are counted", () -> expected.equals(counts()));
                check(store(second).equals(expected), "the store says " + store(second));
                topics(admin);
            }
            check(expected.equals(counts()), "counts changed while nothing came: " + counts());
        }
    }

    /** The topics that Streams makes for itself. */
    private void topics(Admin admin) throws Exception {
        String changelog = name + "-store-changelog";
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, changelog);
        String policy = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("cleanup.policy").value();
        check(policy.equals("compact"), changelog + " has cleanup.policy=" + policy);
        Set<TopicPartition> repartition = partitions(name + "-store-repartition");
        try (KafkaConsumer<String, Long> consumer = consumer()) {
            // What was counted is deleted from it, by DeleteRecords.
            until("the repartition topic is purged", () -> consumer.beginningOffsets(repartition).equals(consumer.endOffsets(repartition)));
            long end = consumer.endOffsets(repartition).values().stream().mapToLong(Long::longValue).sum();
            check(end >= expected.values().stream().mapToLong(Long::longValue).sum(), "only " + end + " words went through it");
        }
    }

    private KafkaStreams start() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(input())
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.as("store"))
            .toStream()
            .to(output(), Produced.with(Serdes.String(), Serdes.Long()));
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 500);
        properties.put("repartition.purge.interval.ms", 1_000);
        properties.put("auto.offset.reset", "earliest");
        // An application that stops does not leave its group: what it had is free when its session has run out.
        properties.put("session.timeout.ms", 6_000);
        properties.put("heartbeat.interval.ms", 1_000);
        Topology topology = builder.build();
        KafkaStreams streams = new KafkaStreams(topology, properties);
        // Without its local state it has to read the changelog.
        streams.cleanUp();
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
            throw new IllegalStateException(failure);
        });
        streams.start();
        return streams;
    }

    private void send(int lines) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (int line = 0; line < lines; line++) {
                List<String> words = new ArrayList<>();
                for (int word = 0; word < 5; word++) {
                    words.add(WORDS[random.nextInt(WORDS.length)]);
                }
                words.forEach(word -> expected.merge(word, 1L, Long::sum));
                producer.send(new ProducerRecord<>(input(), line % PARTITIONS, null, String.join(" ", words)));
            }
        }
    }

    private KafkaConsumer<String, Long> consumer() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        properties.put("fetch.max.wait.ms", "20");
        return new KafkaConsumer<>(properties, new StringDeserializer(), new LongDeserializer());
    }

    private static Set<TopicPartition> partitions(String topic) {
        Set<TopicPartition> all = new HashSet<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            all.add(new TopicPartition(topic, partition));
        }
        return all;
    }

    /** The last count of each word in the output. */
    private Map<String, Long> counts() {
        Map<String, Long> counts = new HashMap<>();
        try (KafkaConsumer<String, Long> consumer = consumer()) {
            Collection<TopicPartition> all = partitions(output());
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            while (!ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue())) {
                for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(100))) {
                    counts.put(record.key(), record.value());
                }
            }
        }
        return counts;
    }

    private long counted() {
        return counts().values().stream().mapToLong(Long::longValue).sum();
    }

    private static Map<String, Long> store(KafkaStreams streams) {
        Map<String, Long> all = new HashMap<>();
        var parameters = org.apache.kafka.streams.StoreQueryParameters.fromNameAndType(
            "store", org.apache.kafka.streams.state.QueryableStoreTypes.<String, Long>keyValueStore());
        try (var entries = streams.store(parameters).all()) {
            entries.forEachRemaining(entry -> all.put(entry.key, entry.value));
        }
        return all;
    }

    private static void until(String what, Callable<Boolean> holds) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!holds.call()) {
            check(System.currentTimeMillis() < deadline, "still not so: " + what);
            Thread.sleep(200);
        }
    }

    private static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }
}
