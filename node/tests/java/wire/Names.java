import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Names for what differs between two runs: times, ids, addresses. Everything else stays as it is.
 *
 * <p>A scenario writes times as {@code "T+5"}: T lies one hour before the run, so that it is never confused with times that
 * the broker takes itself, which become {@code "NOW"}.
 */
final class Names {
    private static final Set<String> NODE_FIELDS =
        Set.of("nodeId", "leaderId", "controllerId", "brokerId", "replicaNodes", "isrNodes", "preferredReadReplica",
            "replicaId");
    private static final long HOUR_MS = 3_600_000;
    private static final Pattern UUID =
        Pattern.compile("(\\S*-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");

    private final long now = System.currentTimeMillis();
    private final long start = now - HOUR_MS;
    private final Map<String, String> numbered = new LinkedHashMap<>();
    private final Map<String, String> members = new LinkedHashMap<>();
    private int nodeId = -1;

    void node(int id) {
        nodeId = id;
    }

    int nodeId() {
        return nodeId;
    }

    long start() {
        return start;
    }

    /** A number, or a text such as "T+5" or "NOW-1000". */
    long time(JsonNode json) {
        if (json.isNumber()) {
            return json.asLong();
        }
        String text = json.asText();
        if (text.matches("-?\\d+")) {
            return Long.parseLong(text);
        }
        if (text.startsWith("T")) {
            return start + (text.length() > 1 ? Long.parseLong(text.substring(1)) : 0);
        }
        if (text.startsWith("NOW")) {
            return System.currentTimeMillis() + (text.length() > 3 ? Long.parseLong(text.substring(3)) : 0);
        }
        throw new IllegalArgumentException("not a time: " + text);
    }

    JsonNode normalize(JsonNode node, int version) {
        return normalize("", node, version);
    }

    private JsonNode normalize(String field, JsonNode node, int version) {
        if (node.isObject()) {
            ObjectNode result = JsonNodeFactory.instance.objectNode();
            for (Map.Entry<String, JsonNode> entry : node.properties()) {
                result.set(entry.getKey(), normalize(entry.getKey(), entry.getValue(), version));
            }
            return result;
        }
        if (node.isArray()) {
            List<JsonNode> elements = new ArrayList<>();
            node.forEach(element -> elements.add(normalize(field, element, version)));
            // Kafka keeps most lists in hash maps: their order means nothing. That of batches and records does.
            if (!field.equals("records") && !field.equals("synonyms")) {
                elements.sort(Comparator.comparing(JsonNode::toString));
            }
            ArrayNode result = JsonNodeFactory.instance.arrayNode();
            result.addAll(elements);
            return result;
        }
        if (node.isIntegralNumber()) {
            return number(field, node.asLong());
        }
        if (node.isTextual()) {
            return text(field, node.asText(), version);
        }
        return node;
    }

    private JsonNode number(String field, long value) {
        if (NODE_FIELDS.contains(field) && value == nodeId) {
            return new TextNode("NODE");
        }
        if (field.equals("producerId") && value >= 0) {
            return new TextNode(name("PRODUCER", Long.toString(value)));
        }
        if (field.equals("sessionId") && value != 0) {
            return new TextNode(name("SESSION", Long.toString(value)));
        }
        if (field.equals("port") && value >= 0) {
            return new TextNode("PORT");
        }
        if (field.equals("finalizedFeaturesEpoch") && value >= 0) {
            return new TextNode("EPOCH");
        }
        if (field.equals("logEndOffset") && value >= 0) {
            return new TextNode("OFFSET");
        }
        if (Set.of("totalBytes", "usableBytes").contains(field) && value > 0) {
            return new TextNode("BYTES");
        }
        if (Math.abs(value - start) < HOUR_MS / 4) {
            return new TextNode("T" + (value < start ? "" : "+") + (value - start));
        }
        if (value >= now && value <= System.currentTimeMillis() + 1_000) {
            return new TextNode("NOW");
        }
        return new LongNode(value);
    }

    private JsonNode text(String field, String value, int version) {
        if (field.equals("topicId") && !value.equals("AAAAAAAAAAAAAAAAAAAAAA")) {
            return new TextNode(name("TOPIC", value));
        }
        if (field.equals("clusterId")) {
            return new TextNode("CLUSTER");
        }
        if (field.equals("host") && !value.isEmpty()) {
            return new TextNode("HOST");
        }
        if (field.equals("logDir")) {
            return new TextNode("DIR");
        }
        String shown = value;
        for (Map.Entry<String, String> member : members.entrySet()) {
            shown = shown.replace(member.getKey(), "${" + member.getValue() + "}");
        }
        // A member's id is the client's or its instance's name and a random id; those of each name are counted apart.
        shown = UUID.matcher(shown).replaceAll(id -> name((id.group(1) == null ? "" : id.group(1)) + "ID", id.group()));
        // Kafka writes times into its error messages.
        return new TextNode(shown.replace("-v" + version, "-v*").replaceAll("\\d{13,}", "TIME"));
    }

    /** A value with a random id in it is shown by the name that the scenario has given to it. */
    void known(String value, String name) {
        if (UUID.matcher(value).find()) {
            members.put(value, name);
        }
    }

    /** Under each heading the numbers begin anew, so that one id more or less does not change what follows. */
    void forget() {
        numbered.clear();
    }

    /** Ids are numbered in the order of their first appearance, so that equal stays equal and different different. */
    private String name(String kind, String id) {
        String key = kind + " " + id;
        long known = numbered.keySet().stream().filter(other -> other.startsWith(kind + " ")).count();
        return numbered.computeIfAbsent(key, absent -> kind + "-" + (known + 1));
    }
}
