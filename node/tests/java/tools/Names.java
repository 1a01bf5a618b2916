import java.util.regex.Pattern;

/** Replaces what differs from run to run by names, so that outputs can be compared. */
final class Names {
    private static final String[][] RULES = {
        {"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"},
        {"(TopicId: )\\S{22}", "$1ID"},
        {"(Cluster ?I[Dd]: *)\\S{22}", "$1ID"},
        {"(\"log_dirs\":\\[)\"/[^\"]*\"", "$1\"FOLDER\""},
        {"console-consumer-\\d+", "console-consumer-N"},
        {"\\b1[6-9]\\d{11}\\b", "TIME"},
        {"(\"size\":)\\d+", "$1SIZE"},
        {"(\"logDir\":\")[^\"]*", "$1FOLDER"},
        {"\\d{4}-\\d\\d-\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d[:.,]\\d+", "DATE"},
        {"[ \\t]+", " "},
        // The first from a broker that keeps no such list, the second from one whose list is empty.
        {"Elr: (N/A )?LastKnownElr:( N/A)?", "Elr: LastKnownElr:"},
        {"(?m)^ ?(at |\\.\\.\\. \\d+ more).*\\R", ""},
        // The order of partitions in a folder is nobody's promise: each gets a line.
        {",(?=\\{\"partition\":\")|(?<=\\[)(?=\\{\"partition\":\")|(?=\\],\"error\":)", "\n"},
        // The formatters of the offsets topic write no ends of lines.
        {"\\}(?=\\{\"key\":|Processed a total)", "}\n"},
    };

    private Names() {}

    static String replace(String text, String broker, String folder) {
        String host = broker.substring(0, broker.indexOf(':'));
        String named = text.replace(broker, "BROKER").replace(folder, "FOLDER").replaceAll(Pattern.quote(host) + "(?![\\d.])", "HOST");
        for (String[] rule : RULES) {
            named = named.replaceAll(rule[0], rule[1]);
        }
        return named;
    }
}
