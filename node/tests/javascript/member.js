'use strict'

// Reads in a group and commits after each batch, until the file STOP is there: GROUP TOPIC NOTES STOP ASSIGNOR SESSION_MS.
// What it lives through is written down, one line an event, as package go/notes does.

const fs = require('fs')
const { PartitionAssigners } = require('kafkajs')

/** kafkajs calls its assignor by a name of its own; with the usual one it shares groups with clients in other languages. */
const ASSIGNORS = { roundrobin: (context) => ({ ...PartitionAssigners.roundRobin(context), name: 'roundrobin' }) }

module.exports = async function member(kafka, group, topic, path, stop, assignor, session) {
  const file = fs.openSync(path, 'a')
  const note = (...words) => fs.writeSync(file, `${Date.now()} ${words.join(' ')}\n`)
  session = Number(session)
  const consumer = kafka.consumer({
    groupId: group,
    partitionAssigners: [ASSIGNORS[assignor]],
    sessionTimeout: session,
    rebalanceTimeout: 2 * session,
    heartbeatInterval: session / 12,
    maxWaitTimeInMs: 100,
  })
  // Its generation is not told at the join; the first heartbeat names it. Nor is a loss that comes without a rebalance.
  let told = true
  let owns = false
  const revoked = () => {
    if (owns) {
      note('revoked', 'all')
    }
    owns = false
  }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    revoked()
    note('assigned', -1, payload.memberAssignment[topic]?.join() || '-')
    told = false
    owns = true
  })
  consumer.on(consumer.events.HEARTBEAT, ({ payload }) => {
    if (!told) {
      note('generation', payload.groupGenerationId)
      told = true
    }
  })
  consumer.on(consumer.events.REBALANCING, revoked)
  consumer.on(consumer.events.CRASH, ({ payload }) => note('said', `${payload.error}`.replaceAll('\n', ' ')))
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, heartbeat, isRunning, isStale }) => {
      if (!isRunning() || isStale()) {
        return
      }
      for (const { offset, value } of batch.messages) {
        note('record', batch.partition, offset, value)
      }
      const offset = `${Number(batch.lastOffset()) + 1}`
      note('committing', batch.partition, offset)
      await consumer.commitOffsets([{ topic, partition: batch.partition, offset }])
      note('committed', batch.partition, offset)
      await heartbeat()
    },
  })
  while (!fs.existsSync(stop)) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await consumer.disconnect()
  revoked()
  note('said', 'closed')
}
