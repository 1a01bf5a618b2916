import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes a file of lines through the Java client, reads it back, compares every part of every record.
 *
 * <pre>
 * Exchange BROKER write TOPIC FILE PARTITIONS CODEC ACKS IDEMPOTENT
 * Exchange BROKER read TOPIC FILE PARTITIONS
 * Exchange BROKER positions TOPIC FILE PARTITIONS
 * Exchange BROKER admin TOPIC
 * </pre>
 *
 * Line i becomes a record that any reader can foretell: the rules are those of python/exchange.py.
 */
public final class Exchange {
    private static final long DAY_MS = 86_400_000L;
    private static final long FIRST_TIMESTAMP_MS = System.currentTimeMillis() / DAY_MS * DAY_MS - DAY_MS;
    private static final Duration POLL = Duration.ofSeconds(1);
    private static final long DEADLINE_MS = 60_000;

    private Exchange() {}

    public static void main(String[] arguments) throws Exception {
        String broker = arguments[0];
        String topic = arguments[2];
        switch (arguments[1]) {
            case "write" -> write(broker, topic, lines(arguments[3]), Integer.parseInt(arguments[4]), arguments[5], arguments[6], arguments[7]);
            case "read" -> read(broker, topic, lines(arguments[3]), Integer.parseInt(arguments[4]));
            case "positions" -> positions(broker, topic, lines(arguments[3]).size(), Integer.parseInt(arguments[4]));
            case "admin" -> Administration.exercise(broker, topic);
            default -> throw new IllegalArgumentException(arguments[1]);
        }
    }

    private static List<byte[]> lines(String path) throws Exception {
        byte[] text = Files.readAllBytes(Path.of(path));
        List<byte[]> lines = new ArrayList<>();
        int start = 0;
        for (int i = 0; i < text.length; i++) {
            if (text[i] == '\n') {
                lines.add(Arrays.copyOfRange(text, start, i));
                start = i + 1;
            }
        }
        return lines;
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, int index, byte[] line, int partitions) {
        byte[] key = index % 7 == 0 ? null : ("key-" + index).getBytes(StandardCharsets.UTF_8);
        byte[] value = index % 101 == 100 ? null : line;
        List<Header> headers = new ArrayList<>();
        if (index % 5 == 0) {
            headers.add(new RecordHeader("line", Integer.toString(index).getBytes(StandardCharsets.UTF_8)));
            headers.add(new RecordHeader("empty", new byte[0]));
            headers.add(new RecordHeader("null", (byte[]) null));
        }
        return new ProducerRecord<>(topic, index % partitions, FIRST_TIMESTAMP_MS + index, key, value, headers);
    }

    private static void write(String broker, String topic, List<byte[]> lines, int partitions, String codec, String acks, String idempotent)
            throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        properties.put("compression.type", codec);
        properties.put("acks", acks);
        properties.put("enable.idempotence", idempotent);
        properties.put("linger.ms", "20");
        properties.put("batch.size", "200000");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int index = 0; index < lines.size(); index++) {
                sent.add(producer.send(record(topic, index, lines.get(index), partitions)));
            }
            producer.flush();
            for (int index = 0; index < sent.size(); index++) {
                RecordMetadata metadata = sent.get(index).get();
                check(metadata.partition() == index % partitions, "record " + index + " went to " + metadata);
                // Without an acknowledgement the client knows no offset.
                check(acks.equals("0") || metadata.offset() == index / partitions, "record " + index + " is at " + metadata);
            }
        }
    }

    static KafkaConsumer<byte[], byte[]> consumer(String broker) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "none");
        properties.put("fetch.max.wait.ms", "50");
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static void read(String broker, String topic, List<byte[]> lines, int partitions) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(broker)) {
            Set<TopicPartition> all = new HashSet<>();
            for (int partition = 0; partition < partitions; partition++) {
                all.add(new TopicPartition(topic, partition));
            }
            consumer.assign(all);
            consumer.seekToBeginning(all);
            int[] next = new int[partitions];
            long deadline = System.currentTimeMillis() + DEADLINE_MS;
            for (int count = 0; count < lines.size();) {
                check(System.currentTimeMillis() < deadline, "no more records after " + Arrays.toString(next));
                for (ConsumerRecord<byte[], byte[]> got : consumer.poll(POLL)) {
                    int partition = got.partition();
                    check(got.offset() == next[partition], "offset " + got.offset() + " instead of " + next[partition]);
                    int index = next[partition]++ * partitions + partition;
                    compare(got, record(topic, index, lines.get(index), partitions), index);
                    count++;
                }
            }
            check(consumer.poll(Duration.ofMillis(200)).isEmpty(), "there are more records than were written");
            consumer.endOffsets(all).forEach((partition, end) -> check(end == next[partition.partition()], "the end is " + end));
        }
    }

    private static void compare(ConsumerRecord<byte[], byte[]> got, ProducerRecord<byte[], byte[]> want, int index) {
        boolean same = Arrays.equals(got.key(), want.key())
            && Arrays.equals(got.value(), want.value())
            && got.timestamp() == want.timestamp()
            && headers(got.headers().toArray()).equals(headers(want.headers().toArray()));
        check(same, "record " + index + " differs");
    }

    private static List<String> headers(Header[] headers) {
        List<String> shown = new ArrayList<>();
        for (Header header : headers) {
            shown.add(header.key() + "=" + (header.value() == null ? "null" : ByteBuffer.wrap(header.value()) + Arrays.toString(header.value())));
        }
        return shown;
    }

    private static void positions(String broker, String topic, int count, int partitions) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(broker)) {
            for (int number = 0; number < partitions; number++) {
                TopicPartition partition = new TopicPartition(topic, number);
                long end = (count - number + partitions - 1) / partitions;
                Set<TopicPartition> only = Set.of(partition);
                check(consumer.beginningOffsets(only).get(partition) == 0, "the beginning");
                check(consumer.endOffsets(only).get(partition) == end, "the end");
                consumer.assign(only);
                for (long offset : new long[] {0, 1, end / 3, end / 2 + 1, end - 1}) {
                    long timestamp = FIRST_TIMESTAMP_MS + offset * partitions + number;
                    OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, timestamp)).get(partition);
                    check(found.offset() == offset && found.timestamp() == timestamp, "by time: " + found);
                    check(found.leaderEpoch().isPresent(), "no leader epoch: " + found);
                    consumer.seek(partition, offset);
                    check(first(consumer).offset() == offset, "after a seek");
                    check(consumer.currentLag(partition).isPresent(), "no lag is known");
                }
                Map<TopicPartition, Long> beyond = new HashMap<>(Map.of(partition, FIRST_TIMESTAMP_MS + count));
                check(consumer.offsetsForTimes(beyond).get(partition) == null, "a time after the last record");
            }
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(Set.of(partition));
            consumer.seek(partition, 10_000_000);
            try {
                first(consumer);
                throw new AssertionError("a position after the end is no error");
            } catch (OffsetOutOfRangeException expected) {
                check(expected.offsetOutOfRangePartitions().containsKey(partition), "another partition is out of range");
            }
        }
    }

    private static ConsumerRecord<byte[], byte[]> first(KafkaConsumer<byte[], byte[]> consumer) {
        long deadline = System.currentTimeMillis() + DEADLINE_MS;
        while (System.currentTimeMillis() < deadline) {
            for (ConsumerRecord<byte[], byte[]> got : consumer.poll(POLL)) {
                return got;
            }
        }
        throw new AssertionError("no record came");
    }

    static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }
}
