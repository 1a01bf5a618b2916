'use strict'

// Offsets by time, watermarks, seeks into the middle of batches, a pause. The topic holds what write wrote.

const { FIRST_TIMESTAMP_MS, check, lines, pause } = require('./records')

module.exports = async function positions(kafka, topic, path, partitions) {
  const count = lines(path).length
  partitions = Number(partitions)
  const admin = kafka.admin()
  await admin.connect()
  for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
    const want = Math.ceil((count - partition) / partitions)
    check(low === '0' && high === `${want}`, `partition ${partition}: ${low} to ${high} instead of ${want}`)
  }
  for (const offset of [0, 1, Math.floor(count / partitions / 3), Math.floor(count / partitions / 2)]) {
    for (const found of await admin.fetchTopicOffsetsByTimestamp(topic, FIRST_TIMESTAMP_MS + offset * partitions)) {
      check(found.offset === `${offset}`, `by time: ${JSON.stringify(found)} instead of ${offset}`)
    }
  }
  await admin.disconnect()
  await seekAndPause(kafka, topic)
}

async function seekAndPause(kafka, topic) {
  const seen = []
  const consumer = kafka.consumer({ groupId: `positions-${topic}-${process.pid}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      seen.push([partition, Number(message.offset)])
      await pause(1)
    },
  })
  const first = async (partition) => {
    for (;;) {
      const found = seen.find((one) => one[0] === partition)
      if (found) {
        return found[1]
      }
      await pause(20)
    }
  }
  check((await first(0)) === 0, 'the first record is not that at 0')
  consumer.pause([{ topic, partitions: [0] }])
  // A record may be on its way at this moment; after it, nothing.
  await pause(300)
  seen.length = 0
  consumer.seek({ topic, partition: 1, offset: '7' })
  consumer.seek({ topic, partition: 0, offset: '5' })
  while (!seen.some(([partition, offset]) => partition === 1 && offset === 7)) {
    await pause(20)
  }
  check(!seen.some(([partition]) => partition === 0), 'a record of a paused partition')
  consumer.resume([{ topic, partitions: [0] }])
  check((await first(0)) === 5, `the record after a seek to 5 is that at ${await first(0)}`)
  await consumer.disconnect()
}
