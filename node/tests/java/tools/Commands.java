import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Plays scripts of Kafka's own command line tools in one JVM, and prints what they printed.
 *
 * <pre>
 * Commands BROKER RELEASE FOLDER SCRIPT...
 * </pre>
 *
 * What a script may hold stands in docs/testing.md. For each command: a line "$ command", a line "= status", its output. Names,
 * times and addresses that differ from run to run are replaced, runs of blanks are one.
 */
public final class Commands {
    private static final Pattern WORD = Pattern.compile("'([^']*)'|(\\S+)");

    private final String broker;
    private final String release;
    private final Path folder;
    private final Map<String, Tool> running = new HashMap<>();
    private String input = "";
    private String last = "";

    private Commands(String broker, String release, Path folder) {
        this.broker = broker;
        this.release = release;
        this.folder = folder;
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        Tool.takeOver();
        Commands commands = new Commands(arguments[0], arguments[1], Path.of(arguments[2]));
        for (int index = 3; index < arguments.length; index++) {
            for (String line : Files.readAllLines(Path.of(arguments[index]))) {
                if (!line.isBlank() && !line.startsWith("#")) {
                    commands.play(line.strip(), out);
                }
            }
        }
        out.flush();
        Runtime.getRuntime().halt(0);
    }

    private void play(String line, PrintStream out) throws Exception {
        Matcher only = Pattern.compile("(\\d+\\.\\d+\\.\\d+)\\| (.*)").matcher(line);
        if (only.matches()) {
            if (only.group(1).equals(release)) {
                play(only.group(2), out);
            }
            return;
        }
        String[] parts = line.split(" ", 2);
        String rest = parts.length > 1 ? parts[1].strip() : "";
        List<String> words = words(rest);
        switch (parts[0]) {
            case "==" -> out.println("== " + rest);
            case "input" -> input = rest.replace("\\n", "\n").replace("\\t", "\t") + "\n";
            case "save" -> Files.writeString(folder.resolve(rest), last);
            case "write" -> Files.writeString(folder.resolve(words.get(0)), rest.substring(words.get(0).length()).strip());
            case "record", "topic", "gone", "group", "settled" -> Around.act(broker, parts[0], words);
            case "start" -> running.put(words.get(0), begin(words.subList(1, words.size())));
            case "stop" -> {
                Tool tool = running.remove(rest);
                tool.interrupt();
                show("stop " + rest, tool, text -> text, out);
            }
            case "shape" -> show(rest, begin(words), Commands::shape, out);
            case "only" -> {
                Pattern wanted = Pattern.compile(words.get(0));
                show(line, begin(words.subList(1, words.size())), text -> only(wanted, text), out);
            }
            default -> show(line, begin(words(line)), text -> text, out);
        }
    }

    private Tool begin(List<String> words) {
        String given = input;
        input = "";
        return new Tool(words.get(0), release, broker, words.subList(1, words.size()), given);
    }

    private void show(String line, Tool tool, java.util.function.UnaryOperator<String> view, PrintStream out) throws Exception {
        int status = tool.await();
        last = tool.output();
        out.println("$ " + line.replace(broker, "BROKER"));
        out.println("= " + status);
        view.apply(Names.replace(last, broker, folder.toString())).lines().map(String::strip).filter(text -> !text.isEmpty())
            .forEach(text -> out.println("| " + text));
        out.flush();
    }

    private List<String> words(String text) {
        List<String> words = new ArrayList<>();
        Matcher matcher = WORD.matcher(text.replace("${broker}", broker).replace("${folder}", folder.toString()));
        while (matcher.find()) {
            words.add(matcher.group(1) != null ? matcher.group(1) : matcher.group(2));
        }
        return words;
    }

    /** Without repetitions: a consumer commits the same offsets as often as its interval runs out. */
    private static String only(Pattern wanted, String text) {
        return String.join("\n", text.lines().filter(line -> wanted.matcher(line).find()).distinct().toList());
    }

    /** Measurements differ from run to run, and slow runs say how far they are; a count at the beginning of a line is always the same. */
    private static String shape(String text) {
        return text.replaceAll("(?m)^\\d+ records sent.*max latency\\.\\R", "")
            .replaceAll("(?m)(?<!^)(?<![\\d.])\\d+(\\.\\d+)?(?![\\d.])", "N");
    }
}
