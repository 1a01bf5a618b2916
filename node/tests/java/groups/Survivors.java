import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.TopicPartition;

/**
 * A group whose node ends and comes back while it works: nothing committed is lost, nothing comes twice, nobody has to join again.
 *
 * <pre>
 * Survivors BROKER ROUNDS
 * </pre>
 *
 * Prints "restart" when the node may be ended, and reads a line when it is back.
 */
public final class Survivors {
    private static final int EACH_TIME = 300;
    private static final int PARTITIONS = 3;

    private Survivors() {}

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        try (Stage stage = new Stage(arguments[0], "survivors-" + Long.toString(System.currentTimeMillis(), 36))) {
            String topic = stage.topic("a", PARTITIONS);
            // The other strategy, the default since 4.0, forgets all topics while the only node is away, and so joins anew.
            String[] patient = {"session.timeout.ms", "30000", "metadata.recovery.strategy", "none"};
            Member first = new Member(stage, List.of(topic), "group", patient);
            Member second = new Member(stage, List.of(topic), "group", patient);
            Stage.until("both have some", () -> first.owned().size() + second.owned().size() == PARTITIONS
                && !first.owned().isEmpty() && !second.owned().isEmpty());
            List<Integer> before = List.of(first.changes().size(), second.changes().size());
            int sent = 0;
            for (int round = Integer.parseInt(arguments[1]); round >= 0; round--) {
                stage.send(topic, PARTITIONS, sent, sent + EACH_TIME);
                sent += EACH_TIME;
                int wanted = sent;
                Stage.until("all is read", () -> first.values().size() + second.values().size() >= wanted);
                committed(stage, topic, sent);
                if (round > 0) {
                    System.out.println("restart");
                    Stage.check(input.readLine() != null, "the node does not come back");
                    committed(stage, topic, sent);
                }
            }
            Stage.same(before, List.of(first.changes().size(), second.changes().size()), "how often the members were told of a change");
            // The group that came back is a whole one: it notices who leaves.
            first.close();
            Stage.until("the other has all", () -> second.owned().size() == PARTITIONS);
            List<Integer> seen = new ArrayList<>();
            first.values().forEach(value -> seen.add(Integer.valueOf(value)));
            second.values().forEach(value -> seen.add(Integer.valueOf(value)));
            seen.sort(null);
            for (int value = 0; value < sent; value++) {
                Stage.same(value, seen.get(value), "the next value");
            }
            Stage.same(sent, seen.size(), "how many values came");
        }
        System.exit(0);
    }

    private static void committed(Stage stage, String topic, int sent) throws Exception {
        Map<TopicPartition, Long> ends = new HashMap<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            ends.put(new TopicPartition(topic, partition), (long) sent / PARTITIONS);
        }
        Stage.until("all is committed", () -> {
            Map<TopicPartition, Long> committed = stage.committed("group");
            Stage.check(ends.keySet().containsAll(committed.keySet()), "committed for others: " + committed);
            Stage.check(committed.entrySet().stream().allMatch(entry -> entry.getValue() <= ends.get(entry.getKey())), "beyond the end: " + committed);
            return committed.equals(ends);
        });
    }
}
