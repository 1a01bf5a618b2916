import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.StringSerializer;

/** What a producer with its release's own defaults sends is what a group gets. */
final class Producing {
    private static final int RECORDS = 400;
    private static final long TIME = System.currentTimeMillis() - 86_400_000;

    private Producing() {}

    static void everyCodec(Stage stage) throws Exception {
        List<String> topics = new ArrayList<>();
        for (String codec : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) {
            String topic = stage.topic(codec, 1);
            topics.add(topic);
            send(stage, topic, codec);
        }
        // One group reads them all.
        try (KafkaConsumer<String, String> consumer = stage.consumer("group")) {
            consumer.subscribe(topics);
            for (ConsumerRecord<String, String> got : Stage.read(consumer, topics.size() * RECORDS)) {
                compare(got, record(got.topic(), (int) got.offset()));
            }
        }
        Properties properties = new Properties();
        properties.put("bootstrap.servers", stage.broker);
        properties.put("max.request.size", "3000000");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            ProducerRecord<String, String> large = new ProducerRecord<>(topics.get(0), "x".repeat(2_000_000));
            Stage.fails(RecordTooLargeException.class, () -> producer.send(large).get());
            Stage.same((long) RECORDS, producer.send(new ProducerRecord<>(topics.get(0), "after it")).get().offset(), "the next offset");
        }
    }

    private static ProducerRecord<String, String> record(String topic, int index) {
        List<Header> headers = new ArrayList<>();
        if (index % 5 == 0) {
            headers.add(new RecordHeader("number", Integer.toString(index).getBytes(StandardCharsets.UTF_8)));
            headers.add(new RecordHeader("number", new byte[0]));
            headers.add(new RecordHeader("null", (byte[]) null));
        }
        String key = index % 3 == 0 ? null : "key " + index % 7;
        String value = index % 11 == 0 ? null : index % 13 == 0 ? "" : "Grüße " + "x".repeat(index) + index;
        return new ProducerRecord<>(topic, 0, TIME + index * 3L, key, value, headers);
    }

    private static void send(Stage stage, String topic, String codec) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", stage.broker);
        properties.put("compression.type", codec);
        properties.put("linger.ms", "10");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (int index = 0; index < RECORDS; index++) {
                sent.add(producer.send(record(topic, index)));
            }
        }
        for (int index = 0; index < RECORDS; index++) {
            Stage.same((long) index, sent.get(index).get().offset(), "the offset of a record");
        }
    }

    private static void compare(ConsumerRecord<String, String> got, ProducerRecord<String, String> want) {
        boolean same = java.util.Objects.equals(got.key(), want.key())
            && java.util.Objects.equals(got.value(), want.value())
            && got.timestamp() == want.timestamp()
            && Arrays.equals(got.headers().toArray(), want.headers().toArray());
        Stage.check(same, "record " + got + " instead of " + want);
    }
}
