'use strict'

// A consumer lives three times in a group of the topic's name, and commits by request, by number, and by time; each life
// must go on exactly where the one before committed. Then the admin calls about groups.

const { AssignerProtocol } = require('kafkajs')
const { check, fails, pause } = require('./records')

const OF_EACH = 100

module.exports = async function group(kafka, topic) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] })
  const producer = kafka.producer()
  await producer.connect()
  const messages = Array.from({ length: 2 * OF_EACH }, (_, number) => ({ partition: number % 2, value: `${number}` }))
  await producer.send({ topic, messages })
  await producer.disconnect()

  const consumed = [0, 0]
  await life(kafka, topic, consumed, 30, { autoCommit: false }, async (consumer) => {
    const offsets = consumed.map((offset, partition) => ({ topic, partition, offset: `${offset}` }))
    await consumer.commitOffsets(offsets)
    await whileStable(admin, topic)
  })
  await committed(admin, topic, consumed)
  await life(kafka, topic, consumed, 60, { autoCommitThreshold: 10 }, async () => {})
  await committed(admin, topic, consumed)
  await life(kafka, topic, consumed, OF_EACH, { autoCommitInterval: 100 }, async () => {})
  await committed(admin, topic, consumed)
  await whenEmpty(admin, topic)
  await admin.disconnect()
}

/** Reads until each partition has had so many records, then waits in the middle of the batch while `then` runs. */
async function life(kafka, topic, consumed, until, committing, then) {
  const consumer = kafka.consumer({ groupId: topic, maxWaitTimeInMs: 100, heartbeatInterval: 500 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise((done, failed) => {
    const take = async ({ partition, message, pause }) => {
      check(message.offset === `${consumed[partition]}`, `offset ${message.offset} instead of ${consumed[partition]}`)
      consumed[partition]++
      if (consumed[partition] === until) {
        pause()
      }
      if (consumed.every((offset) => offset === until)) {
        await then(consumer)
        done()
      }
    }
    consumer.run({ ...committing, eachMessage: (message) => take(message).catch(failed) }).catch(failed)
  })
  // The record that was the last is resolved, and then committed, only after its handler has returned.
  await pause(300)
  await consumer.disconnect()
}

async function offsetsOf(admin, group) {
  const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [group] })
  return partitions.sort((left, right) => left.partition - right.partition)
}

async function committed(admin, group, want) {
  const offsets = await offsetsOf(admin, group)
  check(offsets.map(({ offset }) => offset).join() === want.join(), [offsets, want])
}

async function whileStable(admin, group) {
  const [described] = (await admin.describeGroups([group])).groups
  check(described.state === 'Stable' && described.protocolType === 'consumer', described)
  check(described.protocol === 'RoundRobinAssigner' && described.members.length === 1, described)
  const { assignment } = AssignerProtocol.MemberAssignment.decode(described.members[0].memberAssignment)
  check(assignment[group].length === 2, assignment)
  await fails('NON_EMPTY_GROUP', admin.deleteGroups([group]))
}

async function whenEmpty(admin, group) {
  const { groups } = await admin.listGroups()
  check(groups.some(({ groupId, protocolType }) => groupId === group && protocolType === 'consumer'), groups)
  const [described] = (await admin.describeGroups([group])).groups
  check(described.state === 'Empty', described)
  await admin.setOffsets({ groupId: group, topic: group, partitions: [{ partition: 0, offset: '5' }] })
  await committed(admin, group, [5, OF_EACH])
  await admin.deleteGroups([group])
  await fails('GROUP_ID_NOT_FOUND', admin.deleteGroups([group]))
  check(!(await admin.listGroups()).groups.some(({ groupId }) => groupId === group), 'a deleted group is listed')
  await committed(admin, group, [-1, -1])
}
