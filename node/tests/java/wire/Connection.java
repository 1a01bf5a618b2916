import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.util.HexFormat;

/** One TCP connection that carries whole frames, and tells a closed connection from a silent one. */
final class Connection {
    enum Outcome { FRAME, CLOSED, SILENT }

    record Reply(Outcome outcome, byte[] frame) {}

    private final Socket socket;
    private final OutputStream output;
    private final DataInputStream input;

    Connection(String host, int port) throws IOException {
        socket = new Socket(host, port);
        socket.setTcpNoDelay(true);
        socket.setSoTimeout(Transcript.SILENCE_MS);
        output = socket.getOutputStream();
        input = new DataInputStream(socket.getInputStream());
    }

    /** How long the next answers may take. */
    void patience(int milliseconds) throws IOException {
        socket.setSoTimeout(milliseconds);
    }

    /** Whether an answer begins to come within a time; nothing of it is taken. */
    boolean hasBytesWithin(int milliseconds) throws Exception {
        long end = System.nanoTime() + milliseconds * 1_000_000L;
        while (input.available() == 0) {
            if (System.nanoTime() > end) {
                return false;
            }
            Thread.sleep(5);
        }
        return true;
    }

    void sendFrame(byte[] frame) throws IOException {
        byte[] whole = ByteBuffer.allocate(4 + frame.length).putInt(frame.length).put(frame).array();
        output.write(whole);
        output.flush();
    }

    Reply receive() throws IOException {
        try {
            byte[] frame = new byte[input.readInt()];
            input.readFully(frame);
            return new Reply(Outcome.FRAME, frame);
        } catch (SocketTimeoutException silent) {
            return new Reply(Outcome.SILENT, null);
        } catch (EOFException | SocketException closed) {
            return new Reply(Outcome.CLOSED, null);
        }
    }

    void close() throws IOException {
        socket.close();
    }

    static byte[] bytes(String hex) {
        return HexFormat.of().parseHex(hex.replace(" ", ""));
    }

    static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }
}
