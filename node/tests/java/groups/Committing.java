import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.OffsetMetadataTooLarge;

/** Committed offsets: who commits them when, and where a group goes on. */
final class Committing {
    private Committing() {}

    static void automaticCommits(Stage stage) throws Exception {
        String topic = stage.topic("a", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        stage.send(topic, 1, 0, 40);
        String[] automatic = {"enable.auto.commit", "true", "auto.commit.interval.ms", "200", "max.poll.records", "10"};
        try (KafkaConsumer<String, String> consumer = stage.consumer("group", automatic)) {
            consumer.subscribe(List.of(topic));
            Stage.read(consumer, 10);
            Stage.until("a commit is made between polls", () -> {
                consumer.pause(consumer.assignment());
                consumer.poll(Duration.ofMillis(50));
                return stage.committed("group").equals(Map.of(partition, 10L));
            });
            consumer.resume(consumer.assignment());
            Stage.read(consumer, 10);
        }
        Stage.same(Map.of(partition, 20L), stage.committed("group"), "committed by closing");
        try (KafkaConsumer<String, String> consumer = stage.consumer("group", automatic)) {
            consumer.subscribe(List.of(topic));
            Stage.same("20", Stage.read(consumer, 10).get(0).value(), "where the next one goes on");
        }
    }

    static void commitsSaidByTheProgram(Stage stage) throws Exception {
        String topic = stage.topic("a", 2);
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        stage.send(topic, 2, 0, 40);
        try (KafkaConsumer<String, String> consumer = stage.consumer("group")) {
            consumer.subscribe(List.of(topic));
            Stage.read(consumer, 40);
            Map<TopicPartition, OffsetAndMetadata> none = consumer.committed(Set.of(zero, one));
            Stage.check(none.get(zero) == null && none.get(one) == null, "something is committed: " + none);
            consumer.commitSync();
            Stage.same(20L, consumer.committed(Set.of(zero)).get(zero).offset(), "committed");
            Stage.check(consumer.committed(Set.of(zero)).get(zero).leaderEpoch().isPresent(), "committed without the leader's epoch");
            // Commits may go back.
            consumer.commitSync(Map.of(zero, new OffsetAndMetadata(7, "seven, с метаданными")));
            OffsetAndMetadata back = consumer.committed(Set.of(zero, one)).get(zero);
            Stage.same(7L, back.offset(), "committed one partition");
            Stage.same("seven, с метаданными", back.metadata(), "with its note");
            Stage.same(Map.of(zero, 7L, one, 20L), stage.committed("group"), "the administrator sees");
            asynchronous(consumer, zero);
            Stage.fails(OffsetMetadataTooLarge.class, () -> {
                consumer.commitSync(Map.of(one, new OffsetAndMetadata(1, "x".repeat(4_097))));
                return null;
            });
            consumer.commitSync(Map.of(one, new OffsetAndMetadata(1, "x".repeat(4_096))));
        }
        Stage.same(Map.of(zero, 12L, one, 1L), stage.committed("group"), "after the consumer has left");
        try (KafkaConsumer<String, String> consumer = stage.consumer("group")) {
            consumer.subscribe(List.of(topic));
            long[] first = {-1, -1};
            Stage.read(consumer, 8 + 19).forEach(record -> {
                first[record.partition()] = first[record.partition()] < 0 ? record.offset() : first[record.partition()];
            });
            Stage.check(first[0] == 12 && first[1] == 1, "it goes on at " + first[0] + " and " + first[1]);
        }
    }

    private static void asynchronous(KafkaConsumer<String, String> consumer, TopicPartition partition) throws Exception {
        AtomicInteger done = new AtomicInteger();
        AtomicReference<Exception> failed = new AtomicReference<>();
        for (int offset = 8; offset <= 12; offset++) {
            consumer.commitAsync(Map.of(partition, new OffsetAndMetadata(offset)), (offsets, failure) -> {
                done.incrementAndGet();
                failed.compareAndSet(null, failure);
            });
        }
        Stage.until("the commits are answered", () -> {
            consumer.poll(Duration.ofMillis(20));
            return done.get() == 5;
        });
        Stage.check(failed.get() == null, "an asynchronous commit failed: " + failed.get());
        Stage.same(12L, consumer.committed(Set.of(partition)).get(partition).offset(), "the last of them");
    }

    static void whereAGroupWithoutOffsetsBegins(Stage stage) throws Exception {
        String topic = stage.topic("a", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        stage.send(topic, 1, 0, 10);
        try (KafkaConsumer<String, String> strict = stage.consumer("strict", "auto.offset.reset", "none")) {
            strict.subscribe(List.of(topic));
            Stage.fails(NoOffsetForPartitionException.class, () -> Stage.read(strict, 1));
        }
        try (KafkaConsumer<String, String> late = stage.consumer("late", "auto.offset.reset", "latest")) {
            late.subscribe(List.of(topic));
            Stage.until("its place is found", () -> {
                Stage.check(late.poll(Duration.ofMillis(50)).isEmpty(), "it got what was there before it");
                return late.assignment().contains(partition) && late.position(partition) == 10;
            });
            stage.send(topic, 1, 10, 13);
            Stage.same("10", Stage.read(late, 3).get(0).value(), "the first record after it came");
        }
        try (KafkaConsumer<String, String> early = stage.consumer("early")) {
            early.subscribe(List.of(topic));
            Stage.same("0", Stage.read(early, 13).get(0).value(), "from the beginning");
        }
    }

    static void aLoneConsumerCommits(Stage stage) throws Exception {
        String topic = stage.topic("a", 2);
        TopicPartition partition = new TopicPartition(topic, 1);
        stage.send(topic, 2, 0, 20);
        try (KafkaConsumer<String, String> lone = stage.consumer("lone")) {
            lone.assign(List.of(partition));
            Stage.read(lone, 10);
            lone.commitSync();
        }
        try (KafkaConsumer<String, String> lone = stage.consumer("lone")) {
            lone.assign(List.of(partition));
            Stage.check(lone.poll(Duration.ofMillis(500)).isEmpty(), "committed records came again");
            Stage.same(10L, lone.position(partition), "its place");
            // Once there are members, nobody outside the group may commit for them.
            Member member = new Member(stage, List.of(topic), "lone");
            Stage.until("the member has both", () -> member.owned().size() == 2);
            Stage.fails(CommitFailedException.class, () -> {
                lone.commitSync(Map.of(partition, new OffsetAndMetadata(3)));
                return null;
            });
            Stage.until("the member reads the other partition only", () -> member.values().size() == 10);
        }
        Stage.same(Map.of(partition, 10L, new TopicPartition(topic, 0), 10L), stage.committed("lone"), "committed at the end");
    }
}
