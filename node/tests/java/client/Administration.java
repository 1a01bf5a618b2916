import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringSerializer;

/** The admin calls of the first wave, with their usual results and their usual errors. */
final class Administration {
    private Administration() {}

    static void exercise(String broker, String topic) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        try (Admin admin = Admin.create(properties)) {
            cluster(admin);
            create(admin, topic);
            configs(admin, topic);
            partitions(admin, topic);
            records(admin, broker, topic);
            delete(admin, topic);
        }
    }

    private static void cluster(Admin admin) throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        Exchange.check(cluster.nodes().get().size() == 1, "the nodes are " + cluster.nodes().get());
        Exchange.check(cluster.controller().get() != null, "no controller");
        Exchange.check(!cluster.clusterId().get().isEmpty(), "no cluster id");
    }

    private static void create(Admin admin, String topic) throws Exception {
        NewTopic plain = new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "86400000", "cleanup.policy", "delete"));
        CreateTopicsResult created = admin.createTopics(List.of(plain));
        created.all().get();
        Exchange.check(created.numPartitions(topic).get() == 3, "partitions");
        Exchange.check(created.replicationFactor(topic).get() == 1, "replicas");
        Exchange.check(created.config(topic).get().get("retention.ms").value().equals("86400000"), "config");
        NewTopic defaults = new NewTopic(topic + "-defaults", Optional.empty(), Optional.empty());
        Exchange.check(admin.createTopics(List.of(defaults)).numPartitions(topic + "-defaults").get() == 1, "the default");
        fails(TopicExistsException.class, () -> admin.createTopics(List.of(plain)).all().get());
        fails(InvalidTopicException.class, () -> admin.createTopics(List.of(new NewTopic("no/name", 1, (short) 1))).all().get());
        fails(InvalidPartitionsException.class, () -> admin.createTopics(List.of(new NewTopic(topic + "-0", 0, (short) 1))).all().get());
        fails(InvalidReplicationFactorException.class,
            () -> admin.createTopics(List.of(new NewTopic(topic + "-3", 1, (short) 3))).all().get());
        NewTopic strange = new NewTopic(topic + "-strange", 1, (short) 1).configs(Map.of("no.such.config", "1"));
        fails(InvalidConfigurationException.class, () -> admin.createTopics(List.of(strange)).all().get());
        await(() -> admin.listTopics().names().get().containsAll(List.of(topic, topic + "-defaults")));
        TopicDescription description = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        Exchange.check(description.partitions().size() == 3, "described as " + description);
        Exchange.check(description.partitions().get(2).leader() != null, "no leader: " + description);
        Exchange.check(admin.describeTopics(List.of(topic)).topicNameValues().get(topic).get().topicId() != null, "no id");
        fails(UnknownTopicOrPartitionException.class, () -> admin.describeTopics(List.of("never-was")).allTopicNames().get());
    }

    private static void configs(Admin admin, String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        Exchange.check(config.get("retention.ms").source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "the source");
        Exchange.check(config.get("max.message.bytes").source() == ConfigEntry.ConfigSource.DEFAULT_CONFIG, "the default's source");
        Exchange.check(config.get("max.message.bytes").type() == ConfigEntry.ConfigType.INT, "the type");
        Exchange.check(config.entries().size() > 25, "only " + config.entries().size() + " configs");
        Collection<AlterConfigOp> changes = List.of(
            new AlterConfigOp(new ConfigEntry("retention.ms", null), AlterConfigOp.OpType.DELETE),
            new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND));
        admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
        await(() -> admin.describeConfigs(List.of(resource)).all().get().get(resource).get("cleanup.policy").value().equals("delete,compact"));
        config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        Exchange.check(config.get("retention.ms").isDefault(), "a deleted config is the default again");
        Collection<AlterConfigOp> back = List.of(new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.SUBTRACT));
        admin.incrementalAlterConfigs(Map.of(resource, back)).all().get();
        Collection<AlterConfigOp> wrong = List.of(new AlterConfigOp(new ConfigEntry("segment.bytes", "x"), AlterConfigOp.OpType.SET));
        fails(InvalidConfigurationException.class, () -> admin.incrementalAlterConfigs(Map.of(resource, wrong)).all().get());
        ConfigResource unknown = new ConfigResource(ConfigResource.Type.TOPIC, "never-was");
        fails(UnknownTopicOrPartitionException.class, () -> admin.describeConfigs(List.of(unknown)).all().get());
    }

    private static void partitions(Admin admin, String topic) throws Exception {
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
        await(() -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size() == 5);
        fails(InvalidPartitionsException.class, () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get());
        fails(UnknownTopicOrPartitionException.class,
            () -> admin.createPartitions(Map.of("never-was", NewPartitions.increaseTo(4))).all().get());
    }

    private static void records(Admin admin, String broker, String topic) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        long time = System.currentTimeMillis() - 100_000;
        TopicPartition partition = new TopicPartition(topic, 4);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < 10; i++) {
                producer.send(new ProducerRecord<>(topic, 4, time + (i == 6 ? 50 : i), null, "record " + i)).get();
            }
        }
        Exchange.check(offset(admin, partition, OffsetSpec.earliest()) == 0, "earliest");
        Exchange.check(offset(admin, partition, OffsetSpec.latest()) == 10, "latest");
        Exchange.check(offset(admin, partition, OffsetSpec.maxTimestamp()) == 6, "of the highest time");
        Exchange.check(offset(admin, partition, OffsetSpec.forTimestamp(time + 4)) == 4, "by time");
        Exchange.check(offset(admin, partition, OffsetSpec.forTimestamp(time + 51)) == -1, "by a time to come");
        long low = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(7))).lowWatermarks().get(partition).get().lowWatermark();
        Exchange.check(low == 7, "the low watermark is " + low);
        Exchange.check(offset(admin, partition, OffsetSpec.earliest()) == 7, "earliest after the deletion");
        fails(OffsetOutOfRangeException.class, () -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(11))).all().get());
    }

    private static long offset(Admin admin, TopicPartition partition, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    private static void delete(Admin admin, String topic) throws Exception {
        admin.deleteTopics(List.of(topic, topic + "-defaults")).all().get();
        await(() -> !admin.listTopics().names().get().contains(topic));
        fails(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of(topic)).all().get());
    }

    private static void fails(Class<? extends Throwable> expected, Callable<?> call) throws Exception {
        try {
            call.call();
        } catch (ExecutionException failure) {
            Exchange.check(expected.isInstance(failure.getCause()), "expected " + expected + ", got " + failure.getCause());
            return;
        }
        throw new AssertionError("expected " + expected + ", got success");
    }

    /** Kafka publishes a change of metadata a moment after it has answered. */
    private static void await(Callable<Boolean> holds) throws Exception {
        for (int i = 0; i < 100; i++) {
            if (holds.call()) {
                return;
            }
            Thread.sleep(100);
        }
        throw new AssertionError("what was changed is not seen");
    }
}
