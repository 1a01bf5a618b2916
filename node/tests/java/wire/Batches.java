import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.utils.ByteBufferOutputStream;
import org.apache.kafka.common.utils.ByteUtils;
import org.apache.kafka.common.utils.Crc32C;

/**
 * Record batches (magic 2) written byte by byte, so that each field can lie.
 *
 * <p>A batch is an object; what it leaves out is what an honest producer writes. Fields: values or records, codec,
 * baseOffset, leaderEpoch, magic, attributes, lastOffsetDelta, baseTimestamp, maxTimestamp, producerId, producerEpoch,
 * baseSequence, count; lengthAdd, crcAdd (added to the true value); cut (bytes taken from the end of the whole);
 * trailing, recordsHex, appended (raw bytes). An array of batches is their concatenation.
 */
final class Batches {
    private static final int HEADER_SIZE = 61;
    /** Where the checksum's cover begins: the attributes. */
    private static final int CRC_START = 21;

    private Batches() {}

    static byte[] encode(JsonNode json, Names names) throws IOException {
        if (json.isTextual()) {
            return Connection.bytes(json.asText());
        }
        if (!json.isArray()) {
            return encodeOne(json, names);
        }
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (JsonNode batch : json) {
            all.write(encodeOne(batch, names));
        }
        return all.toByteArray();
    }

    private static byte[] encodeOne(JsonNode batch, Names names) throws IOException {
        JsonNode records = records(batch);
        CompressionType codec = CompressionType.forName(batch.path("codec").asText("none"));
        byte[] payload = batch.has("recordsHex")
            ? Connection.bytes(batch.get("recordsHex").asText())
            : compress(codec, batch, recordBytes(records));
        int count = batch.path("count").asInt(records.size());
        long baseTimestamp = batch.has("baseTimestamp") ? names.time(batch.get("baseTimestamp")) : names.start();
        long lastDelta = 0;
        for (JsonNode record : records) {
            lastDelta = Math.max(lastDelta, record.path("timestampDelta").asLong(0));
        }
        long maxTimestamp = batch.has("maxTimestamp") ? names.time(batch.get("maxTimestamp")) : baseTimestamp + lastDelta;

        ByteBuffer buffer = ByteBuffer.allocate(HEADER_SIZE + payload.length);
        buffer.putLong(batch.path("baseOffset").asLong(0));
        buffer.putInt(buffer.capacity() - 12 + batch.path("lengthAdd").asInt(0));
        buffer.putInt(batch.path("leaderEpoch").asInt(-1));
        buffer.put((byte) batch.path("magic").asInt(2));
        buffer.putInt(0);
        buffer.putShort((short) batch.path("attributes").asInt(codec.id));
        buffer.putInt(batch.path("lastOffsetDelta").asInt(records.size() - 1));
        buffer.putLong(baseTimestamp);
        buffer.putLong(maxTimestamp);
        buffer.putLong(batch.path("producerId").asLong(-1));
        buffer.putShort((short) batch.path("producerEpoch").asInt(-1));
        buffer.putInt(batch.path("baseSequence").asInt(-1));
        buffer.putInt(count);
        buffer.put(payload);
        long crc = Crc32C.compute(buffer.array(), CRC_START, buffer.capacity() - CRC_START);
        buffer.putInt(17, (int) (crc + batch.path("crcAdd").asLong(0)));

        byte[] appended = Connection.bytes(batch.path("appended").asText(""));
        int length = buffer.capacity() - batch.path("cut").asInt(0);
        return ByteBuffer.allocate(length + appended.length).put(buffer.array(), 0, length).put(appended).array();
    }

    /** {@code values} is short for records that have only a value; {@code zeros} for one record of that many bytes. */
    private static JsonNode records(JsonNode batch) {
        if (batch.has("records")) {
            return batch.get("records");
        }
        ArrayNode records = JsonNodeFactory.instance.arrayNode();
        if (batch.has("zeros")) {
            records.addObject().put("zeros", batch.get("zeros").asInt());
            return records;
        }
        if (!batch.has("values")) {
            records.addObject().put("value", "a");
            return records;
        }
        for (JsonNode value : batch.get("values")) {
            records.addObject().set("value", value);
        }
        return records;
    }

    private static byte[] recordBytes(JsonNode records) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        DataOutputStream output = new DataOutputStream(all);
        int index = 0;
        for (JsonNode record : records) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            DataOutputStream body = new DataOutputStream(bytes);
            body.writeByte(record.path("attributes").asInt(0));
            ByteUtils.writeVarlong(record.path("timestampDelta").asLong(0), body);
            ByteUtils.writeVarint(record.path("offsetDelta").asInt(index), body);
            writeSized(body, record, "key");
            writeSized(body, record, "value");
            JsonNode headers = record.path("headers");
            ByteUtils.writeVarint(record.path("headerCount").asInt(headers.size()), body);
            for (JsonNode header : headers) {
                writeSized(body, header, "key");
                writeSized(body, header, "value");
            }
            bytes.write(Connection.bytes(record.path("trailing").asText("")));
            ByteUtils.writeVarint(record.path("size").asInt(bytes.size()), output);
            bytes.writeTo(output);
            index++;
        }
        return all.toByteArray();
    }

    /** A text, or null where the field is absent, with its length; {@code keySize} and {@code valueSize} may lie. */
    private static void writeSized(DataOutputStream output, JsonNode holder, String field) throws IOException {
        JsonNode text = holder.path(field);
        byte[] bytes = text.isTextual() ? text.asText().getBytes(StandardCharsets.UTF_8) : null;
        if (field.equals("value") && holder.has("zeros")) {
            bytes = new byte[holder.get("zeros").asInt()];
        }
        int size = holder.path(field + "Size").asInt(bytes == null ? -1 : bytes.length);
        ByteUtils.writeVarint(size, output);
        if (bytes != null) {
            output.write(bytes);
        }
    }

    private static byte[] compress(CompressionType codec, JsonNode batch, byte[] records) throws IOException {
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        whole.write(records);
        whole.write(Connection.bytes(batch.path("trailing").asText("")));
        ByteBufferOutputStream compressed = new ByteBufferOutputStream(whole.size() + 64);
        try (OutputStream output = Compression.of(codec).build().wrapForOutput(compressed, (byte) 2)) {
            whole.writeTo(output);
        }
        byte[] bytes = new byte[compressed.position()];
        ByteBuffer view = compressed.buffer().duplicate();
        view.flip();
        view.get(bytes);
        return bytes;
    }

    static ArrayNode describe(MemoryRecords records) {
        ArrayNode batches = JsonNodeFactory.instance.arrayNode();
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            ObjectNode shown = batches.addObject();
            shown.put("offsets", batch.baseOffset() + "-" + batch.lastOffset());
            shown.put("leaderEpoch", batch.partitionLeaderEpoch());
            shown.put("codec", batch.compressionType().name);
            shown.put("timestampType", batch.timestampType().name);
            shown.put("maxTimestamp", batch.maxTimestamp());
            if (batch.hasProducerId()) {
                shown.put("producerId", batch.producerId());
                shown.put("sequences", batch.producerEpoch() + ":" + batch.baseSequence() + "-" + batch.lastSequence());
            }
            ArrayNode list = shown.putArray("records");
            for (Record record : batch) {
                ObjectNode one = list.addObject();
                one.put("timestamp", record.timestamp());
                one.put("key", text(record.key()));
                one.put("value", text(record.value()));
                for (Header header : record.headers()) {
                    one.withArray("headers").add(header.key());
                }
            }
        }
        // A batch that does not fit whole is cut in old versions of the protocol; nothing of it may be counted.
        if (records.sizeInBytes() != records.validBytes()) {
            batches.addObject().put("bytesWithoutBatch", records.sizeInBytes() - records.validBytes());
        }
        return batches;
    }

    private static String text(ByteBuffer buffer) {
        if (buffer == null) {
            return null;
        }
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes.length > 64 ? bytes.length + " bytes" : new String(bytes, StandardCharsets.UTF_8);
    }
}
