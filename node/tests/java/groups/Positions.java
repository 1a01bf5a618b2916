import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;

/** Where a consumer stands, and how it is put elsewhere. */
final class Positions {
    private Positions() {}

    static void seekPauseAndLag(Stage stage) throws Exception {
        String topic = stage.topic("a", 2);
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        Set<TopicPartition> both = Set.of(zero, one);
        stage.send(topic, 2, 0, 100);
        try (KafkaConsumer<String, String> consumer = stage.consumer("group", "max.poll.records", "20")) {
            consumer.subscribe(List.of(topic));
            Stage.same(100, Stage.read(consumer, 100).size(), "all records");
            Stage.same(Map.of(zero, 0L, one, 0L), consumer.beginningOffsets(both), "the beginnings");
            Stage.same(Map.of(zero, 50L, one, 50L), consumer.endOffsets(both), "the ends");
            consumer.seek(zero, 44);
            Stage.same("88", Stage.read(consumer, 6).get(0).value(), "after a seek");
            consumer.seekToBeginning(both);
            consumer.pause(Set.of(one));
            Stage.same(Set.of(one), consumer.paused(), "paused");
            for (ConsumerRecord<String, String> record : Stage.read(consumer, 50)) {
                Stage.same(0, record.partition(), "while the other is paused");
            }
            consumer.resume(Set.of(one));
            Stage.read(consumer, 50);
            if (Release.since(3, 0)) {
                Stage.same(0L, Release.lag(consumer, zero).getAsLong(), "the lag at the end");
                consumer.seek(zero, 30);
                consumer.pause(both);
                consumer.poll(Duration.ofMillis(100));
                Stage.same(20L, Release.lag(consumer, zero).getAsLong(), "the lag after a seek");
                consumer.resume(both);
                Stage.read(consumer, 20);
            }
            consumer.seekToEnd(both);
            Stage.same(50L, consumer.position(one), "at the end");
            Stage.check(consumer.poll(Duration.ofMillis(200)).isEmpty(), "there is something after the end");
            stage.send(topic, 2, 100, 102);
            Stage.read(consumer, 2);
        }
    }

    static void offsetsOfTimes(Stage stage) throws Exception {
        String topic = stage.topic("a", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        long hour = System.currentTimeMillis() - 3_600_000;
        Properties properties = new Properties();
        properties.put("bootstrap.servers", stage.broker);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (int index = 0; index < 60; index++) {
                producer.send(new ProducerRecord<>(topic, 0, hour + index * 10L, null, "record " + index));
            }
        }
        try (KafkaConsumer<String, String> consumer = stage.consumer(null)) {
            consumer.assign(List.of(partition));
            List<Long> found = new ArrayList<>();
            for (long time : new long[] {0, hour, hour + 1, hour + 10, hour + 295, hour + 590}) {
                OffsetAndTimestamp first = consumer.offsetsForTimes(Map.of(partition, time)).get(partition);
                Stage.same(hour + first.offset() * 10, first.timestamp(), "the time of the record found");
                found.add(first.offset());
            }
            Stage.same(List.of(0L, 0L, 1L, 1L, 30L, 59L), found, "the first records at or after the times");
            Stage.check(consumer.offsetsForTimes(Map.of(partition, hour + 591)).get(partition) == null, "a time after the last record");
            consumer.seek(partition, 30);
            Stage.same("record 30", Stage.read(consumer, 30).get(0).value(), "from a time on");
            Stage.same(1, consumer.partitionsFor(topic).size(), "partitions of the topic");
            Stage.check(consumer.listTopics().containsKey(topic), "the topic is not listed");
        }
    }
}
