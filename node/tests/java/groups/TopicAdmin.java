import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ReplicaInfo;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Administration of topics, configurations, records and nodes. */
final class TopicAdmin {
    private TopicAdmin() {}

    static void everyCall(Stage stage) throws Exception {
        String topic = stage.topic("a", 3, Map.of("retention.ms", "86400000"));
        topics(stage, topic);
        configs(stage, topic);
        records(stage.admin, topic, stage);
        nodes(stage.admin, topic);
        producers(stage.admin, topic);
        stage.admin.deleteTopics(List.of(topic)).all().get();
        Stage.until("the topic is gone", () -> !stage.admin.listTopics().names().get().contains(topic));
        Stage.fails(UnknownTopicOrPartitionException.class, () -> stage.admin.deleteTopics(List.of(topic)).all().get());
    }

    private static void topics(Stage stage, String topic) throws Exception {
        Admin admin = stage.admin;
        Stage.check(admin.listTopics().names().get().contains(topic), "the topic is not listed");
        Stage.fails(TopicExistsException.class, () -> admin.createTopics(Set.of(new NewTopic(topic, 1, (short) 1))).all().get());
        Stage.fails(InvalidReplicationFactorException.class,
            () -> admin.createTopics(Set.of(new NewTopic(topic + "-3", 1, (short) 3))).all().get());
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
        Stage.until("the topic has grown", () -> Release.topics(admin, topic).get(topic).partitions().size() == 4);
        Stage.fails(InvalidPartitionsException.class, () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get());
        Stage.same(Map.of(), admin.listPartitionReassignments().reassignments().get(), "reassignments");
        Stage.same(Map.of(), admin.listPartitionReassignments(Set.of(new TopicPartition(topic, 0))).reassignments().get(), "reassignments of one");
    }

    private static void configs(Stage stage, String topic) throws Exception {
        Admin admin = stage.admin;
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = describe(admin, resource);
        Stage.same(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, config.get("retention.ms").source(), "the source");
        Stage.same("86400000", config.get("retention.ms").value(), "the value");
        Collection<AlterConfigOp> changes = List.of(
            new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET),
            new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND));
        admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
        Stage.until("the changes are seen", () -> describe(admin, resource).get("cleanup.policy").value().equals("delete,compact"));
        Stage.same("7200000", describe(admin, resource).get("retention.ms").value(), "the changed value");
        Collection<AlterConfigOp> wrong = List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "soon"), AlterConfigOp.OpType.SET));
        Stage.fails(InvalidConfigurationException.class, () -> admin.incrementalAlterConfigs(Map.of(resource, wrong)).all().get());
        if (!Release.since(4, 0)) {
            // The call that replaces all of a topic's configs; the fourth series has it no more.
            Config all = new Config(List.of(new ConfigEntry("max.message.bytes", "200000")));
            ((KafkaFuture<?>) Release.call(Release.call(admin, "alterConfigs", Map.of(resource, all)), "all")).get();
            Stage.until("the new set is seen", () -> describe(admin, resource).get("max.message.bytes").value().equals("200000"));
            Stage.check(describe(admin, resource).get("retention.ms").isDefault(), "what was not in the set is still there");
        }
        String node = Integer.toString(admin.describeCluster().nodes().get().iterator().next().id());
        Config broker = describe(admin, new ConfigResource(ConfigResource.Type.BROKER, node));
        Stage.check(broker.get("log.retention.ms") != null || broker.get("log.retention.hours") != null, "a node without its configs: " + broker);
    }

    private static Config describe(Admin admin, ConfigResource resource) throws Exception {
        return admin.describeConfigs(List.of(resource)).all().get().get(resource);
    }

    private static void records(Admin admin, String topic, Stage stage) throws Exception {
        stage.send(topic, 1, 0, 30);
        TopicPartition partition = new TopicPartition(topic, 0);
        Stage.same(0L, offset(admin, partition, OffsetSpec.earliest()), "the first offset");
        Stage.same(30L, offset(admin, partition, OffsetSpec.latest()), "the end");
        Stage.same(0L, offset(admin, partition, OffsetSpec.forTimestamp(1)), "of a time");
        long low = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(11))).lowWatermarks().get(partition).get().lowWatermark();
        Stage.same(11L, low, "the low watermark");
        Stage.same(11L, offset(admin, partition, OffsetSpec.earliest()), "the first offset after the deletion");
        Stage.fails(OffsetOutOfRangeException.class, () -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(31))).all().get());
        admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(-1))).all().get();
        Stage.same(30L, offset(admin, partition, OffsetSpec.earliest()), "after all was deleted");
        stage.send(topic, 1, 30, 40);
    }

    private static long offset(Admin admin, TopicPartition partition, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    private static void nodes(Admin admin, String topic) throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        Stage.same(1, cluster.nodes().get().size(), "nodes");
        Stage.check(!cluster.clusterId().get().isEmpty() && cluster.controller().get() != null, "the cluster");
        int node = cluster.nodes().get().iterator().next().id();
        Map<String, LogDirDescription> folders = admin.describeLogDirs(Set.of(node)).allDescriptions().get().get(node);
        Set<TopicPartition> found = new HashSet<>();
        for (LogDirDescription folder : folders.values()) {
            Stage.check(folder.error() == null, "a folder with an error: " + folder.error());
            for (Map.Entry<TopicPartition, ReplicaInfo> replica : folder.replicaInfos().entrySet()) {
                if (replica.getKey().topic().equals(topic)) {
                    found.add(replica.getKey());
                    Stage.check(replica.getValue().offsetLag() == 0 && !replica.getValue().isFuture(), "a replica: " + replica.getValue());
                    Stage.check(replica.getKey().partition() != 0 || replica.getValue().size() > 0, "bytes of a partition with records");
                }
            }
            if (Release.since(3, 3)) {
                long total = ((java.util.OptionalLong) Release.call(folder, "totalBytes")).getAsLong();
                long usable = ((java.util.OptionalLong) Release.call(folder, "usableBytes")).getAsLong();
                Stage.check(total >= usable && usable > 0, "the volume: " + usable + " of " + total);
            }
        }
        Stage.same(4, found.size(), "partitions of the topic in " + folders.keySet());
    }

    private static void producers(Admin admin, String topic) throws Exception {
        if (!Release.since(3, 0)) {
            return;
        }
        TopicPartition partition = new TopicPartition(topic, 0);
        Object result = Release.call(admin, "describeProducers", List.of(partition));
        Object state = ((KafkaFuture<?>) Release.call(result, "partitionResult", partition)).get();
        Collection<?> producers = (Collection<?>) Release.call(state, "activeProducers");
        // Each call of send had a producer of its own, idempotent by default since 3.0; deleting records keeps them.
        Stage.check(!producers.isEmpty(), "no producer is known");
        for (Object producer : producers) {
            Stage.check((long) Release.call(producer, "producerId") >= 0, "a producer: " + producer);
            Stage.same(0, Release.call(producer, "producerEpoch"), "its epoch");
        }
    }
}
