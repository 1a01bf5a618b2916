import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** Administration of groups: what they are seen to be, their offsets, their members. */
final class GroupAdmin {
    private GroupAdmin() {}

    static void groups(Stage stage) throws Exception {
        String topic = stage.topic("a", 2);
        String group = stage.name + "-group";
        stage.send(topic, 2, 0, 10);
        Member member = new Member(stage, List.of(topic), "group", "client.id", "the client");
        Stage.until("all is read", () -> member.values().size() == 10 && member.owned().size() == 2);
        ConsumerGroupDescription stable = describe(stage, group);
        Stage.same("Stable", Release.state(stable), "the state");
        Stage.check(!stable.isSimpleConsumerGroup(), "not a simple group");
        // Two assignors are offered since 3.0, and the first is chosen; before, there is only that one.
        Stage.same("range", stable.partitionAssignor(), "the assignor");
        Stage.check(stable.coordinator() != null && !stable.coordinator().isEmpty(), "the coordinator");
        Stage.same(1, stable.members().size(), "members");
        MemberDescription only = stable.members().iterator().next();
        Stage.same("the client", only.clientId(), "the client's id");
        Stage.check(only.consumerId().startsWith("the client-"), "the member's id: " + only.consumerId());
        Stage.same("/127.0.0.1", only.host(), "the host");
        Stage.same(Optional.empty(), only.groupInstanceId(), "the instance id");
        Stage.same(Set.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1)), only.assignment().topicPartitions(), "the assignment");
        ConsumerGroupListing listed = listing(stage, group);
        Stage.check(!listed.isSimpleConsumerGroup(), "listed as a simple group");
        Stage.same("Optional[Stable]", Release.state(listed), "the state listed");
        if (Release.since(4, 0)) {
            // The newer call, for groups of every kind.
            Collection<?> all = (Collection<?>) ((KafkaFuture<?>) Release.call(Release.call(stage.admin, "listGroups"), "all")).get();
            Stage.check(all.toString().contains("groupId='" + group + "'"), "not listed among all groups: " + all);
        }
        Stage.fails(GroupNotEmptyException.class, () -> stage.admin.deleteConsumerGroups(List.of(group)).all().get());
        member.close();
        Stage.until("the group is empty", () -> Release.state(describe(stage, group)).equals("Empty"));
        Stage.same("Optional[Empty]", Release.state(listing(stage, group)), "the state listed");
        stage.admin.deleteConsumerGroups(List.of(group)).all().get();
        Stage.check(listing(stage, group) == null, "a deleted group is listed");
        Stage.same(Map.of(), stage.committed("group"), "offsets of a deleted group");
        Stage.fails(GroupIdNotFoundException.class, () -> stage.admin.deleteConsumerGroups(List.of(group)).all().get());
        unknown(stage, group);
    }

    /** What is not there is a dead group for clients before the fourth series, an error for those after. */
    private static void unknown(Stage stage, String group) throws Exception {
        try {
            Stage.same("Dead", Release.state(describe(stage, group)), "a group that is not there");
        } catch (java.util.concurrent.ExecutionException failure) {
            Stage.check(Release.since(4, 0) && failure.getCause() instanceof GroupIdNotFoundException, "a group that is not there: " + failure);
        }
    }

    static void offsets(Stage stage) throws Exception {
        String topic = stage.topic("a", 2);
        String other = stage.topic("b", 1);
        String group = stage.name + "-group";
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        TopicPartition third = new TopicPartition(other, 0);
        stage.send(topic, 2, 0, 100);
        // A group may begin with nothing but offsets.
        stage.admin.alterConsumerGroupOffsets(group, Map.of(zero, new OffsetAndMetadata(45, "a note"), third, new OffsetAndMetadata(0))).all().get();
        Map<TopicPartition, OffsetAndMetadata> all = stage.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        Stage.same(Set.of(zero, third), all.keySet(), "the partitions with offsets");
        Stage.check(all.get(zero).offset() == 45 && all.get(zero).metadata().equals("a note"), "with its note: " + all);
        ConsumerGroupListing listed = listing(stage, group);
        Stage.check(listed.isSimpleConsumerGroup(), "a group of offsets only is a simple one");
        Stage.same("Empty", Release.state(describe(stage, group)), "its state");
        several(stage, group, zero);
        Member member = new Member(stage, List.of(topic), "group");
        Stage.until("the rest is read", () -> member.values().size() == 5 + 50);
        Stage.fails(UnknownMemberIdException.class,
            () -> stage.admin.alterConsumerGroupOffsets(group, Map.of(zero, new OffsetAndMetadata(1))).all().get());
        Stage.fails(GroupSubscribedToTopicException.class,
            () -> stage.admin.deleteConsumerGroupOffsets(group, Set.of(zero)).all().get());
        // Another topic's offset may go while the group works.
        stage.admin.deleteConsumerGroupOffsets(group, Set.of(third)).all().get();
        Stage.same(Map.of(zero, 50L, one, 50L), stage.committed("group"), "what is left");
        member.close();
        stage.admin.deleteConsumerGroupOffsets(group, Set.of(one)).all().get();
        stage.admin.alterConsumerGroupOffsets(group, Map.of(zero, new OffsetAndMetadata(3))).all().get();
        Stage.same(Map.of(zero, 3L), stage.committed("group"), "after both");
        Stage.fails(GroupIdNotFoundException.class,
            () -> stage.admin.deleteConsumerGroupOffsets("never-was", Set.of(one)).all().get());
    }

    /** Since 3.3 the offsets of several groups are asked for in one request. */
    private static void several(Stage stage, String group, TopicPartition partition) throws Exception {
        if (!Release.since(3, 3)) {
            return;
        }
        Class<?> spec = Class.forName("org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec");
        Object everything = spec.getConstructor().newInstance();
        Object one = Release.call(spec.getConstructor().newInstance(), "topicPartitions", List.of(partition));
        String second = group + "-second";
        stage.admin.alterConsumerGroupOffsets(second, Map.of(partition, new OffsetAndMetadata(9))).all().get();
        Object result = stage.admin.getClass()
            .getMethod("listConsumerGroupOffsets", Map.class, Class.forName("org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions"))
            .invoke(stage.admin, Map.of(group, everything, second, one),
                Class.forName("org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions").getConstructor().newInstance());
        Map<?, ?> all = (Map<?, ?>) ((KafkaFuture<?>) Release.call(result, "all")).get();
        Stage.same(2, ((Map<?, ?>) all.get(group)).size(), "offsets of the first group");
        OffsetAndMetadata nine = (OffsetAndMetadata) ((Map<?, ?>) all.get(second)).get(partition);
        Stage.same(9L, nine.offset(), "the offset of the second");
        stage.admin.deleteConsumerGroups(List.of(second)).all().get();
    }

    static void members(Stage stage) throws Exception {
        String topic = stage.topic("a", 2);
        String group = stage.name + "-group";
        Member stays = new Member(stage, List.of(topic), "group", "group.instance.id", "stays");
        Member goes = new Member(stage, List.of(topic), "group", "group.instance.id", "goes", "session.timeout.ms", "30000");
        Stage.until("both have one", () -> stays.owned().size() == 1 && goes.owned().size() == 1);
        Set<Optional<String>> names = new HashSet<>();
        describe(stage, group).members().forEach(member -> names.add(member.groupInstanceId()));
        Stage.same(Set.of(Optional.of("stays"), Optional.of("goes")), names, "the static members");
        goes.close();
        Stage.same(2, describe(stage, group).members().size(), "a static member that closes stays a member");
        remove(stage, group, List.of("goes"));
        Stage.until("the other has both", () -> stays.owned().size() == 2);
        Stage.fails(UnknownMemberIdException.class, () -> {
            stage.admin.removeMembersFromConsumerGroup(group,
                new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("never-was")))).all().get();
            return null;
        });
        stays.close();
        stage.admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions()).all().get();
        Stage.until("the group is empty", () -> Release.state(describe(stage, group)).equals("Empty"));
    }

    private static void remove(Stage stage, String group, List<String> names) throws Exception {
        Set<MemberToRemove> members = new HashSet<>();
        names.forEach(name -> members.add(new MemberToRemove(name)));
        stage.admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(members)).all().get();
    }

    private static ConsumerGroupDescription describe(Stage stage, String group) throws Exception {
        return stage.admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    }

    private static ConsumerGroupListing listing(Stage stage, String group) throws Exception {
        Collection<ConsumerGroupListing> all = stage.admin.listConsumerGroups().all().get();
        return all.stream().filter(one -> one.groupId().equals(group)).findFirst().orElse(null);
    }
}
