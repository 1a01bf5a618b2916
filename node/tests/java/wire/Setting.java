import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
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
        List<String> topics = users(metadata);
        if (users(metadata).size() < metadata.get("topics").size()) {
            clearGroups();
        }
        if (topics.isEmpty()) {
            return;
        }
        ObjectNode request = Requests.object().put("timeoutMs", 10_000);
        topics.forEach(request.putArray("topicNames")::add);
        transcript.exchange(ApiKeys.DELETE_TOPICS, (short) 4, request);
        for (int i = 0; i < TRIES; i++) {
            if (users(metadata(null)).isEmpty()) {
                return;
            }
            Thread.sleep(PAUSE_MS);
        }
        throw new IllegalStateException("the topics of an earlier scenario do not go away");
    }

    /** Topics that are not the broker's own. */
    private static List<String> users(JsonNode metadata) {
        List<String> names = new ArrayList<>();
        for (JsonNode topic : metadata.get("topics")) {
            if (!topic.get("isInternal").asBoolean()) {
                names.add(topic.get("name").asText());
            }
        }
        return names;
    }

    /** Makes all members of all groups leave, and deletes the groups. */
    private void clearGroups() throws Exception {
        ArrayNode names = Requests.object().putArray("groups");
        transcript.exchange(ApiKeys.LIST_GROUPS, (short) 2, Requests.object()).get("groups")
            .forEach(group -> names.add(group.get("groupId").asText()));
        if (names.isEmpty()) {
            return;
        }
        ObjectNode describe = Requests.object();
        describe.set("groups", names);
        for (JsonNode group : transcript.exchange(ApiKeys.DESCRIBE_GROUPS, (short) 4, describe).get("groups")) {
            ObjectNode leave = Requests.object().put("groupId", group.get("groupId").asText());
            ArrayNode members = leave.putArray("members");
            for (JsonNode member : group.get("members")) {
                ObjectNode leaving = members.addObject().put("memberId", member.get("memberId").asText());
                leaving.set("groupInstanceId", member.get("groupInstanceId"));
            }
            transcript.exchange(ApiKeys.LEAVE_GROUP, (short) 3, leave);
        }
        ObjectNode delete = Requests.object();
        delete.set("groupsNames", names);
        String last = "";
        for (int i = 0; i < TRIES; i++) {
            last = "";
            for (JsonNode result : transcript.exchange(ApiKeys.DELETE_GROUPS, (short) 0, delete).get("results")) {
                int error = result.get("errorCode").asInt();
                // A group that everybody has left in the middle of its first join is empty when the join has ended.
                if (error != 0 && error != Errors.GROUP_ID_NOT_FOUND.code()) {
                    last = result.toString();
                }
            }
            if (last.isEmpty()) {
                return;
            }
            Thread.sleep(PAUSE_MS);
        }
        throw new IllegalStateException("a group of an earlier scenario does not go away: " + last);
    }

    /** Waits until the topic of the offsets is there and each of its partitions is ready to serve groups. */
    void awaitCoordinators() throws Exception {
        ObjectNode find = Requests.object().put("key", "anybody");
        ObjectNode fetch = Requests.object();
        ArrayNode groups = fetch.putArray("groups");
        // Enough names that each of the fifty partitions has one of them.
        for (int number = 0; number < 600; number++) {
            groups.addObject().put("groupId", "nobody-" + number).putNull("topics");
        }
        for (int i = 0; i < TRIES; i++) {
            if (transcript.exchange(ApiKeys.FIND_COORDINATOR, (short) 1, find).get("errorCode").asInt() == 0) {
                boolean ready = true;
                for (JsonNode group : transcript.exchange(ApiKeys.OFFSET_FETCH, (short) 8, fetch).get("groups")) {
                    ready &= group.get("errorCode").asInt() == 0;
                }
                if (ready) {
                    return;
                }
            }
            Thread.sleep(PAUSE_MS);
        }
        throw new IllegalStateException("the coordinators do not get ready");
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
