import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * What consumers in groups, lone consumers, producers and administrators do through the Java client, any release from 2.8.
 *
 * <pre>
 * Groups BROKER [SCENARIO]
 * </pre>
 *
 * The scenarios run beside each other, each with topics and groups of its own, and each prints its name and time when it has held.
 */
public final class Groups {
    /** Each waits most of its time: for the first rebalance of a group, for a time limit to run out. */
    private static final int AT_ONCE = 9;

    private Groups() {}

    /** What one scenario does; it throws when something does not hold. */
    interface Scenario {
        void play(Stage stage) throws Exception;
    }

    private static Map<String, Scenario> scenarios() {
        Map<String, Scenario> all = new LinkedHashMap<>();
        all.put("slow-member", Sharing::aMemberThatDoesNotPollLosesItsPartitions);
        all.put("range", Sharing::rangesAreTakenOver);
        all.put("cooperative", Sharing::cooperativeMembersKeepWhatTheyHave);
        all.put("protocols", Sharing::membersAgreeOnWhatAllSpeak);
        all.put("static", Sharing::aStaticMemberComesBack);
        all.put("pattern", Sharing::aTopicThatMatchesIsFound);
        all.put("auto-commit", Committing::automaticCommits);
        all.put("commit", Committing::commitsSaidByTheProgram);
        all.put("reset", Committing::whereAGroupWithoutOffsetsBegins);
        all.put("alone", Committing::aLoneConsumerCommits);
        all.put("positions", Positions::seekPauseAndLag);
        all.put("times", Positions::offsetsOfTimes);
        all.put("produce", Producing::everyCodec);
        all.put("admin-topics", TopicAdmin::everyCall);
        all.put("admin-groups", GroupAdmin::groups);
        all.put("admin-offsets", GroupAdmin::offsets);
        all.put("admin-members", GroupAdmin::members);
        return all;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Scenario> chosen = scenarios();
        if (arguments.length > 1) {
            chosen.keySet().retainAll(List.of(arguments[1]));
        }
        String release = AppInfoParser.getVersion();
        // A second run against the same broker must not meet the topics of the first.
        String run = release + "-" + Long.toString(System.currentTimeMillis(), 36);
        ExecutorService pool = Executors.newFixedThreadPool(AT_ONCE);
        Map<String, Future<Long>> played = new LinkedHashMap<>();
        chosen.forEach((name, scenario) -> played.put(name, pool.submit(() -> {
            long begin = System.currentTimeMillis();
            try (Stage stage = new Stage(arguments[0], name + "-" + run)) {
                scenario.play(stage);
            }
            return System.currentTimeMillis() - begin;
        })));
        List<String> failed = new ArrayList<>();
        for (Map.Entry<String, Future<Long>> entry : played.entrySet()) {
            try {
                System.out.println(entry.getKey() + " " + entry.getValue().get() + " ms");
            } catch (ExecutionException failure) {
                failed.add(entry.getKey());
                System.err.println(entry.getKey() + " with the client " + release + " does not hold:");
                failure.getCause().printStackTrace();
            }
        }
        pool.shutdownNow();
        // Threads of a consumer that a failed scenario left behind must not keep the program.
        System.exit(failed.isEmpty() && !played.isEmpty() ? 0 : 1);
    }
}
