import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;

/** Sets the scene of a scenario: no topics at its start, topics that are ready before they are used. */
final class Setting {
    private static final short METADATA_VERSION = 8;
    /** A broker that has not settled after this many tries is reported. */
    private static final int TRIES = 200;
    private static final int PAUSE_MS = 50;
    /** Before a config that only this project's broker has. */
    private static final String OURS = "ours:";

    private final Transcript transcript;

    Setting(Transcript transcript) {
        this.transcript = transcript;
    }

    void clear() throws Exception {
        JsonNode metadata = metadata(null);
        transcript.names().node(metadata.get("controllerId").asInt());
        ObjectNode request = Requests.object().put("timeoutMs", 10_000);
        ArrayNode names = request.putArray("topicNames");
        metadata.get("topics").forEach(topic -> names.add(topic.get("name").asText()));
        if (names.isEmpty()) {
            return;
        }
        transcript.exchange(ApiKeys.DELETE_TOPICS, (short) 4, request);
        for (int i = 0; i < TRIES; i++) {
            if (metadata(null).get("topics").isEmpty()) {
                return;
            }
            Thread.sleep(PAUSE_MS);
        }
        throw new IllegalStateException("the topics of an earlier scenario do not go away");
    }

    /**
     * {@code NAME PARTITIONS key=value ...}; a config written as {@code ours:key=value} is left out for a broker that does
     * not know it.
     */
    void createTopic(String text) throws Exception {
        List<String> words = Transcript.words(text);
        JsonNode answer = create(words, true);
        if (answer.at("/topics/0/errorCode").asInt() == Errors.INVALID_CONFIG.code() && text.contains(OURS)) {
            answer = create(words, false);
        }
        if (answer.at("/topics/0/errorCode").asInt(-1) != 0) {
            throw new IllegalStateException("cannot create " + text + ": " + answer);
        }
        awaitTopics(words.get(0));
    }

    private JsonNode create(List<String> words, boolean withOurs) throws Exception {
        ObjectNode request = Requests.object().put("timeoutMs", 10_000);
        ObjectNode topic = request.putArray("topics").addObject();
        topic.put("name", words.get(0)).put("numPartitions", Integer.parseInt(words.get(1))).put("replicationFactor", 1);
        ArrayNode configs = topic.putArray("configs");
        for (String word : words.subList(2, words.size())) {
            if (withOurs || !word.startsWith(OURS)) {
                String[] pair = word.replaceFirst("^" + OURS, "").split("=", 2);
                configs.addObject().put("name", pair[0]).put("value", pair[1]);
            }
        }
        return transcript.exchange(ApiKeys.CREATE_TOPICS, (short) 5, request);
    }

    void awaitTopics(String... names) throws Exception {
        for (String name : names) {
            await(name, true);
        }
    }

    void awaitGone(String name) throws Exception {
        await(name, false);
    }

    private void await(String name, boolean present) throws Exception {
        ArrayNode names = Requests.object().putArray("topics");
        names.addObject().put("name", name);
        for (int i = 0; i < TRIES; i++) {
            JsonNode topic = metadata(names).at("/topics/0");
            boolean ready = topic.get("errorCode").asInt() == 0 && !topic.get("partitions").isEmpty();
            for (JsonNode partition : topic.get("partitions")) {
                ready &= partition.get("errorCode").asInt() == 0 && hasLog(name, partition.get("partitionIndex").asInt());
            }
            if (ready == present) {
                return;
            }
            Thread.sleep(PAUSE_MS);
        }
        throw new IllegalStateException("topic " + name + (present ? " does not get ready" : " does not go away"));
    }

    /** A leader is named before it has opened its log; only the log itself can tell. */
    private boolean hasLog(String name, int partition) throws Exception {
        ObjectNode request = Requests.object();
        ObjectNode topic = request.putArray("topics").addObject().put("name", name);
        topic.putArray("partitions").addObject().put("partitionIndex", partition).put("timestamp", -1);
        JsonNode answer = transcript.exchange(ApiKeys.LIST_OFFSETS, (short) 1, request);
        return answer.at("/topics/0/partitions/0/errorCode").asInt(-1) == 0;
    }

    private JsonNode metadata(ArrayNode topics) throws Exception {
        ObjectNode request = Requests.object().put("allowAutoTopicCreation", false);
        request.set("topics", topics);
        return transcript.exchange(ApiKeys.METADATA, METADATA_VERSION, request);
    }
}
