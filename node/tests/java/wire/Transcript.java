import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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

    private final String host;
    private final int port;
    private final Names names = new Names();
    private final Map<String, Connection> connections = new HashMap<>();
    private final Map<String, String> kept = new HashMap<>();
    private String connectionName = "main";
    private String heading = "";
    private byte[] lastRequest = {};
    private JsonNode lastAnswer = JsonNodeFactory.instance.objectNode();

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
            case "send" -> send(rest, true);
            case "quietly" -> send(rest, false);
            default -> throw new IllegalArgumentException("unknown word " + words[0]);
        }
    }

    /** {@code keep NAME /json/pointer}: a value of the last answer, for later use as {@code ${NAME}}. */
    private void keep(String rest) {
        String[] words = rest.split("\\s+");
        JsonNode value = lastAnswer.at(words[1]);
        if (value.isMissingNode()) {
            throw new IllegalStateException("no " + words[1] + " in " + lastAnswer);
        }
        kept.put(words[0], value.asText());
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
        for (int version = from; version <= to; version++) {
            JsonNode fields = MAPPER.readTree(substitute(template, version));
            JsonNode answer = exchange(api, (short) version, fields);
            if (printed) {
                print(api.name, api.id, version, names.normalize(answer, version), Connection.hex(lastRequest));
            }
        }
    }

    /** One request and its answer as Kafka's classes read it; {@code "closed"} or {@code "silence"} without one. */
    JsonNode exchange(ApiKeys api, short version, JsonNode fields) throws Exception {
        byte[] request;
        try {
            request = Requests.encode(api, version, fields, names);
        } catch (UnsupportedVersionException unable) {
            throw new IllegalArgumentException("the fields do not fit version " + version, unable);
        }
        lastRequest = request;
        Connection connection = connection();
        connection.sendFrame(request);
        Connection.Reply reply = connection.receive();
        if (reply.outcome() == Connection.Outcome.FRAME) {
            lastAnswer = Requests.decode(api, version, reply.frame());
            return lastAnswer;
        }
        disconnect();
        return JsonNodeFactory.instance.textNode(reply.outcome() == Connection.Outcome.CLOSED ? "closed" : "silence");
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
