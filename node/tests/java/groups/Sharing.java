import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InconsistentGroupProtocolException;

/** How members of a group divide partitions among themselves, and take over from each other. */
final class Sharing {
    private static final String COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    private static final String RANGE = "org.apache.kafka.clients.consumer.RangeAssignor";
    private static final String ASSIGNOR = "partition.assignment.strategy";

    private Sharing() {}

    static void rangesAreTakenOver(Stage stage) throws Exception {
        List<String> topics = List.of(stage.topic("a", 3), stage.topic("b", 3));
        Member first = new Member(stage, topics, "group", ASSIGNOR, RANGE);
        Member second = new Member(stage, topics, "group", ASSIGNOR, RANGE);
        Set<TopicPartition> long_ = partitions(topics, 0, 1);
        Set<TopicPartition> short_ = partitions(topics, 2);
        Stage.until("each has its range", () -> {
            Set<Set<TopicPartition>> shares = new HashSet<>(List.of(first.owned(), second.owned()));
            return shares.equals(Set.of(long_, short_));
        });
        send(stage, topics, 0, 150);
        Stage.until("all 300 records are seen", () -> first.values().size() + second.values().size() == 300);
        Member leaver = first.owned().equals(long_) ? first : second;
        Member heir = leaver == first ? second : first;
        leaver.close();
        Stage.until("the other has all", () -> heir.owned().equals(partitions(topics, 0, 1, 2)));
        send(stage, topics, 150, 300);
        Stage.until("all 600 records are seen", () -> first.values().size() + second.values().size() >= 600);
        List<String> values = new ArrayList<>(first.values());
        values.addAll(second.values());
        values.sort(null);
        List<String> wanted = new ArrayList<>();
        for (int value = 0; value < 300; value++) {
            wanted.addAll(Collections.nCopies(2, Integer.toString(value)));
        }
        wanted.sort(null);
        Stage.same(wanted, values, "the records of both members");
    }

    static void cooperativeMembersKeepWhatTheyHave(Stage stage) throws Exception {
        List<String> topics = List.of(stage.topic("a", 6));
        Member first = new Member(stage, topics, "group", ASSIGNOR, COOPERATIVE);
        Stage.until("the first has all", () -> first.owned().size() == 6);
        int before = first.changes().size();
        Member second = new Member(stage, topics, "group", ASSIGNOR, COOPERATIVE);
        Stage.until("both have half", () -> first.owned().size() == 3 && second.owned().size() == 3);
        Set<TopicPartition> revoked = new HashSet<>();
        for (Member.Change change : first.changes().subList(before, first.changes().size())) {
            Stage.check(change.kind().equals("revoked") || change.partitions().isEmpty(), "the first was told " + change);
            revoked.addAll(change.partitions());
        }
        Stage.same(second.owned(), revoked, "what was taken from the first");
        second.close();
        Stage.until("the first has all again", () -> first.owned().size() == 6);
        Set<TopicPartition> back = new HashSet<>(first.changes().get(first.changes().size() - 1).partitions());
        Stage.same(revoked, back, "what the first was given back");
        first.close();
    }

    static void membersAgreeOnWhatAllSpeak(Stage stage) throws Exception {
        List<String> topics = List.of(stage.topic("a", 4));
        Member newer = new Member(stage, topics, "group", ASSIGNOR, COOPERATIVE + "," + RANGE);
        Stage.until("the first has all", () -> newer.owned().size() == 4);
        Stage.same("cooperative-sticky", assignor(stage), "what the first prefers");
        Member older = new Member(stage, topics, "group", ASSIGNOR, RANGE);
        Stage.until("both have half", () -> newer.owned().size() == 2 && older.owned().size() == 2);
        Stage.same("range", assignor(stage), "what both speak");
        try (KafkaConsumer<String, String> stranger = stage.consumer("group", ASSIGNOR, "org.apache.kafka.clients.consumer.RoundRobinAssignor")) {
            stranger.subscribe(topics);
            Stage.fails(InconsistentGroupProtocolException.class, () -> Stage.read(stranger, 1));
        }
    }

    private static String assignor(Stage stage) throws Exception {
        String group = stage.name + "-group";
        return stage.admin.describeConsumerGroups(Set.of(group)).all().get().get(group).partitionAssignor();
    }

    static void aStaticMemberComesBack(Stage stage) throws Exception {
        List<String> topics = List.of(stage.topic("a", 4));
        String[] one = {"group.instance.id", "one", "session.timeout.ms", "20000"};
        String[] two = {"group.instance.id", "two", "session.timeout.ms", "20000"};
        Member first = new Member(stage, topics, "group", one);
        Member second = new Member(stage, topics, "group", two);
        Stage.until("both have half", () -> first.owned().size() == 2 && second.owned().size() == 2);
        Set<TopicPartition> share = first.owned();
        int changes = second.changes().size();
        int generation = second.ask(consumer -> consumer.groupMetadata().generationId());
        first.close();
        Member again = new Member(stage, topics, "group", one);
        Stage.until("the member is back", () -> !again.owned().isEmpty());
        Stage.same(share, again.owned(), "what it has again");
        stage.send(topics.get(0), 4, 0, 100);
        Stage.until("all is read", () -> again.values().size() + second.values().size() == 100);
        Stage.same(changes, second.changes().size(), "how often the other was told of a change");
        Stage.same(generation, second.ask(consumer -> consumer.groupMetadata().generationId()), "the generation");
        // Whoever comes with the same name puts the older one out.
        Member usurper = new Member(stage, topics, "group", one);
        Stage.until("the older one is put out", () -> again.failure() != null);
        Stage.check(again.failure() instanceof FencedInstanceIdException, "put out by " + again.failure());
        Stage.until("the newer one has its share", () -> usurper.owned().equals(share));
    }

    static void aMemberThatDoesNotPollLosesItsPartitions(Stage stage) throws Exception {
        List<String> topics = List.of(stage.topic("a", 2));
        String topic = topics.get(0);
        stage.send(topic, 2, 0, 20);
        try (KafkaConsumer<String, String> slow = stage.consumer("group", "max.poll.interval.ms", "2000", "max.poll.records", "5")) {
            slow.subscribe(topics);
            List<String> uncommitted = new ArrayList<>();
            long deadline = System.currentTimeMillis() + 30_000;
            while (uncommitted.isEmpty() && System.currentTimeMillis() < deadline) {
                slow.poll(Duration.ofMillis(200)).forEach(record -> uncommitted.add(record.value()));
            }
            Stage.check(!uncommitted.isEmpty(), "the slow member got nothing");
            Member other = new Member(stage, topics, "group");
            Stage.until("the other has both", () -> other.owned().size() == 2);
            Stage.until("the other reads all, nothing having been committed", () -> new TreeSet<>(other.values()).size() == 20);
            Stage.fails(CommitFailedException.class, () -> {
                slow.commitSync();
                return null;
            });
            // Polling again makes it a member again.
            Stage.until("both have one", () -> {
                slow.poll(Duration.ofMillis(50));
                return slow.assignment().size() == 1 && other.owned().size() == 1;
            });
        }
    }

    static void aTopicThatMatchesIsFound(Stage stage) throws Exception {
        stage.topic("match-1", 1);
        stage.topic("other", 1);
        try (KafkaConsumer<String, String> consumer = stage.consumer("group")) {
            consumer.subscribe(Pattern.compile(Pattern.quote(stage.name) + "-match-.*"));
            Stage.until("the first is assigned", () -> {
                consumer.poll(Duration.ofMillis(100));
                return consumer.assignment().size() == 1;
            });
            stage.topic("match-2", 2);
            Stage.until("the new one is assigned too", () -> {
                consumer.poll(Duration.ofMillis(100));
                return consumer.assignment().size() == 3;
            });
            int generation = consumer.groupMetadata().generationId();
            consumer.enforceRebalance();
            Stage.until("a rebalance that was asked for happens", () -> {
                consumer.poll(Duration.ofMillis(100));
                return consumer.groupMetadata().generationId() > generation && consumer.assignment().size() == 3;
            });
            consumer.unsubscribe();
        }
    }

    private static void send(Stage stage, List<String> topics, int from, int to) throws Exception {
        for (String topic : topics) {
            stage.send(topic, 3, from, to);
        }
    }

    private static Set<TopicPartition> partitions(List<String> topics, int... numbers) {
        Set<TopicPartition> all = new HashSet<>();
        for (String topic : topics) {
            for (int number : numbers) {
                all.add(new TopicPartition(topic, number));
            }
        }
        return all;
    }
}
