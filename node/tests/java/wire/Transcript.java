import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.protocol.ApiKeys;

/**
 * Plays a scenario of raw requests against any broker and prints one JSON line for each answer.
 *
 * <p>Requests are encoded and answers are decoded by Kafka's own message classes; an answer that they cannot read
 * to its last byte is a failure of the broker, reported as such. What differs from run to run (ids, times, addresses) is
 * replaced by names in {@link Names}, so that transcripts of two brokers can be compared.
 *
 * <p>The language of the scenarios is described in docs/testing.md.
 */
public final class Transcript {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    /** An answer that takes longer is recorded as silence; longer than any wait that a scenario asks for. */
    static final int SILENCE_MS = 2_500;
    /** What waits for other members of a group; the first rebalance of a group alone takes three seconds. */
    private static final Set<ApiKeys> WAITING = Set.of(ApiKeys.JOIN_GROUP, ApiKeys.SYNC_GROUP);
    static final int REBALANCE_MS = 15_000;

    private final String host;
    private final int port;
    private final Names names = new Names();
    private final Map<String, Connection> connections = new HashMap<>();
    private final Map<String, String> kept = new HashMap<>();
    private String connectionName = "main";
    private String heading = "";
    private byte[] lastRequest = {};
    private JsonNode lastAnswer = JsonNodeFactory.instance.objectNode();
    /** The answers of the last step by version, for {@code keep}. */
    private final Map<Integer, JsonNode> lastAnswers = new LinkedHashMap<>();
    /** Requests that were begun and not finished, by connection: a broker answers one after the other. */
    private final Map<String, Begun> begun = new LinkedHashMap<>();

    private record Begun(ApiKeys api, short version, byte[] request) {}

    private Transcript(String host, int port) {
        this.host = host;
        this.port = port;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 3) {
            System.err.println("usage: Transcript HOST PORT SCENARIO");
            System.exit(2);
        }
        Transcript transcript = new Transcript(arguments[0], Integer.parseInt(arguments[1]));
        transcript.play(Files.readString(Path.of(arguments[2])));
    }

    private void play(String scenario) throws Exception {
        new Setting(this).clear();
        kept.put("node", Integer.toString(names.nodeId()));
        kept.put("x4096", "x".repeat(4096));
        kept.put("x4097", "x".repeat(4097));
        kept.put("u1366", "\u20ac".repeat(1366));
        String[] lines = scenario.split("\n");
        for (int number = 0; number < lines.length; number++) {
            String line = lines[number].strip();
            if (line.isEmpty() || line.startsWith("#")) {
                continue;
            }
            int first = number + 1;
            StringBuilder whole = new StringBuilder(line);
            while (depth(whole) > 0) {
                number++;
                if (number == lines.length) {
                    throw new IllegalArgumentException("line " + first + ": a brace is never closed");
                }
                whole.append(' ').append(lines[number].strip());
            }
            try {
                step(whole.toString());
            } catch (Exception broken) {
                throw new IllegalStateException("line " + first + ": " + line, broken);
            }
        }
    }

    /** How many braces and brackets are open at the end of the text, those inside strings not counted. */
    private static int depth(CharSequence text) {
        int depth = 0;
        boolean quoted = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"') {
                quoted = !quoted;
            } else if (!quoted && (c == '{' || c == '[')) {
                depth++;
            } else if (!quoted && (c == '}' || c == ']')) {
                depth--;
            }
        }
        return depth;
    }

    private void step(String line) throws Exception {
        String[] words = line.split("\\s+", 2);
        String rest = words.length > 1 ? words[1] : "";
        switch (words[0]) {
            case "==" -> {
                heading = rest;
                names.forget();
            }
            case "topic" -> new Setting(this).createTopic(substitute(rest, -1));
            case "settle" -> new Setting(this).awaitTopics(substitute(rest, -1).split("\\s+"));
            case "gone" -> new Setting(this).awaitGone(substitute(rest, -1));
            case "connection" -> connectionName = rest;
            case "wait" -> Thread.sleep(Long.parseLong(rest));
            case "keep" -> keep(rest);
            case "raw" -> raw(rest);
            case "begin" -> begin(rest);
            case "finish" -> finish(rest);
            case "pending" -> pending(Integer.parseInt(rest));
            case "drop" -> drop();
            case "coordinators" -> new Setting(this).awaitCoordinators();
            case "send" -> send(rest, true);
            case "quietly" -> send(rest, false);
            default -> throw new IllegalArgumentException("unknown word " + words[0]);
        }
    }

    /**
     * {@code keep NAME /json/pointer}: a value of the last answer, for later use as {@code ${NAME}}; of each version's answer
     * as {@code ${NAME-v3}}.
     */
    private void keep(String rest) {
        String[] words = rest.split("\\s+");
        JsonNode value = lastAnswer.at(words[1]);
        if (value.isMissingNode()) {
            throw new IllegalStateException("no " + words[1] + " in " + lastAnswer);
        }
        keep(words[0], value.asText());
        if (lastAnswers.size() > 1) {
            lastAnswers.forEach((version, answer) -> keep(words[0] + "-v" + version, answer.at(words[1]).asText()));
        }
    }

    private void keep(String name, String value) {
        kept.put(name, value);
        names.known(value, name);
    }

    private void raw(String rest) throws Exception {
        Connection connection = connection();
        connection.sendFrame(Connection.bytes(substitute(rest, -1)));
        Connection.Reply reply = connection.receive();
        String answer = switch (reply.outcome()) {
            case CLOSED -> "closed";
            case SILENT -> "silence";
            case FRAME -> {
                // The correlation id leads every answer; the rest of a raw answer is compared as bytes.
                byte[] body = reply.frame();
                yield Connection.hex(body);
            }
        };
        if (reply.outcome() != Connection.Outcome.FRAME) {
            disconnect();
        }
        print("raw", -1, -1, JsonNodeFactory.instance.textNode(answer), "");
    }

    /** {@code send API FROM-TO {fields}}: the same request in each version. */
    private void send(String rest, boolean printed) throws Exception {
        String[] words = rest.split("\\s+", 3);
        ApiKeys api = Requests.api(words[0]);
        String[] range = words[1].split("-");
        int from = Integer.parseInt(range[0]);
        int to = Integer.parseInt(range[range.length - 1]);
        String template = words.length > 2 ? words[2] : "{}";
        lastAnswers.clear();
        for (int version = from; version <= to; version++) {
            JsonNode fields = MAPPER.readTree(substitute(template, version));
            JsonNode answer = exchange(api, (short) version, fields);
            lastAnswers.put(version, answer);
            if (printed) {
                print(api.name, api.id, version, names.normalize(answer, version), Connection.hex(lastRequest));
            }
        }
    }

    /** One request and its answer as Kafka's classes read it; {@code "closed"} or {@code "silence"} without one. */
    JsonNode exchange(ApiKeys api, short version, JsonNode fields) throws Exception {
        if (begun.containsKey(connectionName)) {
            throw new IllegalStateException("a request is under way on connection " + connectionName);
        }
        lastRequest = encode(api, version, fields);
        connection().sendFrame(lastRequest);
        return receive(api, version);
    }

    private byte[] encode(ApiKeys api, short version, JsonNode fields) throws Exception {
        try {
            // Members of groups are named after their client.
            String clientId = connectionName.equals("main") ? "transcript" : connectionName;
            return Requests.encode(api, version, fields, names, clientId);
        } catch (UnsupportedVersionException unable) {
            throw new IllegalArgumentException("the fields do not fit version " + version, unable);
        }
    }

    private JsonNode receive(ApiKeys api, short version) throws Exception {
        Connection connection = connection();
        connection.patience(WAITING.contains(api) ? REBALANCE_MS : SILENCE_MS);
        Connection.Reply reply = connection.receive();
        if (reply.outcome() == Connection.Outcome.FRAME) {
            lastAnswer = Requests.decode(api, version, reply.frame());
            return lastAnswer;
        }
        disconnect();
        return JsonNodeFactory.instance.textNode(reply.outcome() == Connection.Outcome.CLOSED ? "closed" : "silence");
    }

    /**
     * {@code begin API FROM-TO {fields}}: sends without waiting for the answer. Of several versions each goes over a
     * connection of its own, named after this one and the version.
     */
    private void begin(String rest) throws Exception {
        String[] words = rest.split("\\s+", 3);
        ApiKeys api = Requests.api(words[0]);
        String[] range = words[1].split("-");
        int from = Integer.parseInt(range[0]);
        int to = Integer.parseInt(range[range.length - 1]);
        String group = connectionName;
        for (int version = from; version <= to; version++) {
            connectionName = from == to ? group : group + "-v" + version;
            if (begun.containsKey(connectionName)) {
                throw new IllegalStateException("a request is under way on connection " + connectionName);
            }
            byte[] request = encode(api, (short) version, MAPPER.readTree(substitute(words[2], version)));
            connection().sendFrame(request);
            begun.put(connectionName, new Begun(api, (short) version, request));
        }
        connectionName = group;
    }

    /** {@code finish NAME ...}: the answers to what was begun on these connections; on this one without a name. */
    private void finish(String rest) throws Exception {
        String before = connectionName;
        lastAnswers.clear();
        for (String name : rest.isEmpty() ? List.of(connectionName) : words(rest)) {
            List<String> matching = begun.keySet().stream()
                .filter(begun -> begun.equals(name) || begun.matches(Pattern.quote(name) + "-v\\d+")).toList();
            if (matching.isEmpty()) {
                throw new IllegalStateException("nothing is under way on connection " + name);
            }
            for (String one : matching) {
                connectionName = one;
                Begun request = begun.remove(one);
                JsonNode answer = receive(request.api(), request.version());
                lastAnswers.put((int) request.version(), answer);
                print(request.api().name, request.api().id, request.version(),
                    names.normalize(answer, request.version()), Connection.hex(request.request()));
            }
        }
        connectionName = before;
    }

    /** {@code pending MS}: what was begun on this connection has no answer for so long. */
    private void pending(int milliseconds) throws Exception {
        Begun request = begun.get(connectionName);
        boolean nothing = !connection().hasBytesWithin(milliseconds);
        print(request.api().name, request.api().id, request.version(),
            JsonNodeFactory.instance.textNode(nothing ? "pending" : "answered"), "");
    }

    /** Closes this connection, whatever is under way on it. */
    private void drop() throws Exception {
        begun.remove(connectionName);
        disconnect();
    }

    Names names() {
        return names;
    }

    private Connection connection() throws Exception {
        Connection open = connections.get(connectionName);
        if (open == null) {
            open = new Connection(host, port);
            connections.put(connectionName, open);
        }
        return open;
    }

    private void disconnect() throws Exception {
        connections.remove(connectionName).close();
    }

    /** Replaces {@code ${name}}; {@code ${version}} is the version of the request being sent. */
    private String substitute(String text, int version) {
        String result = text.replace("${version}", "v" + version);
        for (Map.Entry<String, String> entry : kept.entrySet()) {
            result = result.replace("${" + entry.getKey() + "}", entry.getValue());
        }
        if (result.contains("${")) {
            throw new IllegalArgumentException("nothing kept under a name of: " + result);
        }
        return result;
    }

    private void print(String api, int key, int version, JsonNode answer, String request) throws Exception {
        ObjectNode line = JsonNodeFactory.instance.objectNode();
        line.put("step", heading);
        line.put("api", api);
        line.put("key", key);
        line.put("version", version);
        line.set("answer", answer);
        line.put("request", request);
        System.out.println(MAPPER.writeValueAsString(line));
    }

    /** Words of a line, for the steps that set the scene. */
    static List<String> words(String text) {
        List<String> words = new ArrayList<>();
        for (String word : text.strip().split("\\s+")) {
            if (!word.isEmpty()) {
                words.add(word);
            }
        }
        return words;
    }
}
