'use strict'

// The admin calls of kafkajs about the cluster and one topic, with their usual results and their usual errors.

const { ConfigResourceTypes } = require('kafkajs')
const { becomes, check, fails } = require('./records')

module.exports = async function administer(kafka, topic) {
  const admin = kafka.admin()
  await admin.connect()
  const cluster = await admin.describeCluster()
  check(cluster.brokers.length === 1 && cluster.clusterId, cluster)

  const configEntries = [{ name: 'retention.ms', value: '86400000' }]
  const created = { topic, numPartitions: 2, replicationFactor: 1, configEntries }
  check(await admin.createTopics({ topics: [created] }), 'the topic is not created')
  check(!(await admin.createTopics({ topics: [created] })), 'the topic is created twice')
  const thrice = { topic: `${topic}-3`, numPartitions: 1, replicationFactor: 3 }
  await fails('INVALID_REPLICATION_FACTOR', admin.createTopics({ topics: [thrice] }))
  const partitions = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
  check((await partitions()) === 2, 'not two partitions')
  await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
  await becomes('four partitions', async () => (await partitions()) === 4)
  await fails('INVALID_PARTITIONS', admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] }))
  check((await admin.listTopics()).includes(topic), 'the topic is not listed')

  await configs(admin, topic)
  await records(kafka, admin, topic)

  await admin.deleteTopics({ topics: [topic] })
  await becomes('the deletion', async () => !(await admin.listTopics()).includes(topic))
  await fails('UNKNOWN_TOPIC_OR_PARTITION', admin.deleteTopics({ topics: [topic] }))
  await admin.disconnect()
}

async function configs(admin, topic) {
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
  const is = async (name, value) => {
    const { resources } = await admin.describeConfigs({ resources: [resource] })
    return resources[0].configEntries.find((entry) => entry.configName === name).configValue === value
  }
  check(await is('retention.ms', '86400000'), 'the config of the creation')
  // kafkajs has only the call that sets the whole: what is not named goes back to its default.
  const configEntries = [{ name: 'segment.bytes', value: '1048576' }]
  await admin.alterConfigs({ resources: [{ ...resource, configEntries }] })
  await becomes('a change', async () => (await is('segment.bytes', '1048576')) && (await is('retention.ms', '604800000')))
}

async function records(kafka, admin, topic) {
  const producer = kafka.producer()
  await producer.connect()
  const messages = Array.from({ length: 10 }, (_, number) => ({ partition: 0, value: `${number}` }))
  const [{ baseOffset }] = await producer.send({ topic, messages })
  check(baseOffset === '0', `stored at ${baseOffset}`)
  await producer.disconnect()
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
  const offsets = await admin.fetchTopicOffsets(topic)
  check(offsets.find(({ partition }) => partition === 0).low === '4', offsets)
  await fails('OFFSET_OUT_OF_RANGE', admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '11' }] }))
}
