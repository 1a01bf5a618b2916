import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.stream.Collectors;

/** Lines of a file, each written at once: the time, a word, and what belongs to it. */
final class Notes {
    private final Path path;

    Notes(Path path) {
        this.path = path;
    }

    synchronized void note(Object... words) {
        String line = Arrays.stream(words).map(String::valueOf).collect(Collectors.joining(" "));
        String text = System.currentTimeMillis() + " " + line.replace('\n', ' ') + "\n";
        try {
            Files.write(path, text.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }
}
