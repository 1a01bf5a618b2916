import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.requests.AbstractResponse;

/** Requests from JSON to bytes and answers from bytes to JSON, both through Kafka's generated classes. */
final class Requests {
    static final int CORRELATION_ID = 7;

    private Requests() {}

    static ApiKeys api(String name) {
        for (ApiKeys key : ApiKeys.values()) {
            if (key.name.equals(name)) {
                return key;
            }
        }
        throw new IllegalArgumentException("no API is called " + name);
    }

    static byte[] encode(ApiKeys api, short version, JsonNode fields, Names names, String clientId) throws IOException {
        ApiMessageType type = ApiMessageType.fromApiKey(api.id);
        RequestHeaderData header = new RequestHeaderData()
            .setRequestApiKey(api.id)
            .setRequestApiVersion(version)
            .setCorrelationId(CORRELATION_ID)
            .setClientId(clientId);
        ApiMessage body = type.newRequest();
        fill(body, fields, version, names);
        short headerVersion = type.requestHeaderVersion(version);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        int size = header.size(cache, headerVersion) + body.size(cache, version);
        ByteBufferAccessor output = new ByteBufferAccessor(ByteBuffer.allocate(size));
        header.write(output, cache, headerVersion);
        body.write(output, cache, version);
        return output.buffer().array();
    }

    /** Reads an answer exactly as Kafka's clients do; bytes that are left over are an error of the broker. */
    static JsonNode decode(ApiKeys api, short version, byte[] frame) throws Exception {
        ByteBuffer buffer = ByteBuffer.wrap(frame);
        short headerVersion = ApiMessageType.fromApiKey(api.id).responseHeaderVersion(version);
        ResponseHeaderData header = new ResponseHeaderData(new ByteBufferAccessor(buffer), headerVersion);
        if (header.correlationId() != CORRELATION_ID) {
            throw new IllegalStateException("the answer has correlation id " + header.correlationId());
        }
        int start = buffer.position();
        ApiMessage body;
        short readVersion = version;
        try {
            body = AbstractResponse.parseResponse(api, new ByteBufferAccessor(buffer), version).data();
        } catch (RuntimeException unreadable) {
            // KIP-511: a version of ApiVersions that the broker does not know is answered in version 0.
            if (api != ApiKeys.API_VERSIONS || version == 0) {
                throw unreadable;
            }
            buffer.position(start);
            readVersion = 0;
            body = AbstractResponse.parseResponse(api, new ByteBufferAccessor(buffer), readVersion).data();
        }
        if (buffer.hasRemaining()) {
            throw new IllegalStateException(buffer.remaining() + " bytes are left over after " + api + " v" + version);
        }
        Class<?> converter = Class.forName(body.getClass().getName() + "JsonConverter");
        Method write = converter.getMethod("write", body.getClass(), short.class, boolean.class);
        JsonNode json = (JsonNode) write.invoke(null, body, readVersion, true);
        if (readVersion != version) {
            ((ObjectNode) json).put("readAsVersion", readVersion);
        }
        if (body instanceof FetchResponseData fetched) {
            showRecords(fetched, json);
        }
        return json;
    }

    /** Shows fetched records as Kafka's classes read them; the JSON converter leaves them out. */
    private static void showRecords(FetchResponseData data, JsonNode json) {
        for (int topic = 0; topic < data.responses().size(); topic++) {
            List<FetchResponseData.PartitionData> partitions = data.responses().get(topic).partitions();
            for (int partition = 0; partition < partitions.size(); partition++) {
                MemoryRecords records = (MemoryRecords) partitions.get(partition).records();
                JsonNode shown = json.at("/responses/" + topic + "/partitions/" + partition);
                if (records != null) {
                    ((ObjectNode) shown).set("records", Batches.describe(records));
                }
            }
        }
    }

    /**
     * Sets the fields of a message from JSON; the others keep the defaults of Kafka's schema. A field written as
     * {@code name@5} is for versions from 5 on, {@code name@-4} up to 4.
     */
    private static void fill(Object message, JsonNode fields, short version, Names names) throws IOException {
        for (Map.Entry<String, JsonNode> entry : fields.properties()) {
            String[] name = entry.getKey().split("@");
            if (name.length == 2) {
                int bound = Integer.parseInt(name[1]);
                boolean upTo = name[1].startsWith("-");
                if (upTo ? version > -bound : version < bound) {
                    continue;
                }
            }
            try {
                Field field = message.getClass().getDeclaredField(name[0]);
                if (Modifier.isStatic(field.getModifiers())) {
                    throw new NoSuchFieldException(name[0]);
                }
                field.setAccessible(true);
                field.set(message, value(field.getType(), field.getGenericType(), entry.getValue(), version, names));
            } catch (ReflectiveOperationException wrong) {
                throw new IllegalArgumentException(message.getClass().getSimpleName() + " has no field " + name[0], wrong);
            }
        }
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Object value(Class<?> type, Type generic, JsonNode json, short version, Names names)
            throws IOException, ReflectiveOperationException {
        if (json.isNull()) {
            return null;
        } else if (type == boolean.class) {
            return json.asBoolean();
        } else if (type == byte.class) {
            return (byte) json.asInt();
        } else if (type == short.class) {
            return (short) json.asInt();
        } else if (type == int.class) {
            return json.isTextual() ? Integer.parseInt(json.asText()) : json.asInt();
        } else if (type == long.class) {
            return names.time(json);
        } else if (type == String.class) {
            return json.asText();
        } else if (type == Uuid.class) {
            return Uuid.fromString(json.asText());
        } else if (type == byte[].class) {
            return Connection.bytes(json.asText());
        } else if (Collection.class.isAssignableFrom(type)) {
            Class<?> element = elementType(type, generic);
            Collection collection = type == List.class ? new ArrayList<>() : (Collection) type.getConstructor().newInstance();
            for (JsonNode item : (ArrayNode) json) {
                collection.add(value(element, element, item, version, names));
            }
            return collection;
        } else if (ApiMessage.class.isAssignableFrom(type) || type.getName().contains("Data$")) {
            Object message = type.getConstructor().newInstance();
            fill(message, json, version, names);
            return message;
        } else if (Integer.class == type) {
            return Integer.valueOf(json.asText());
        } else if (type.getName().endsWith("BaseRecords")) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(Batches.encode(json, names)));
        }
        throw new IllegalArgumentException("no way to set a field of type " + type);
    }

    /** The class of a list's elements, or of Kafka's hashed collections. */
    private static Class<?> elementType(Class<?> type, Type generic) {
        Type parameterized = generic instanceof ParameterizedType ? generic : type.getGenericSuperclass();
        return (Class<?>) ((ParameterizedType) parameterized).getActualTypeArguments()[0];
    }

    static ObjectNode object() {
        return JsonNodeFactory.instance.objectNode();
    }
}
