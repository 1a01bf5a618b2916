'use strict'

// Writes a file of lines, and reads it back.

const { CODECS } = require('./client')
const { check, lines, record, same } = require('./records')

/** Lines a request: small enough for the limit of a request, many enough for batches. */
const AT_ONCE = 500

async function write(kafka, topic, path, partitions, codec, acks, idempotent) {
  const producer = kafka.producer({ idempotent: idempotent === 'true', maxInFlightRequests: 1 })
  await producer.connect()
  const messages = lines(path).map((line, index) => record(index, line, Number(partitions)))
  for (let begin = 0; begin < messages.length; ) {
    // A batch that holds a line of almost a megabyte holds no other: kafkajs makes one batch a partition of all it is given.
    let end = begin + 1
    const long = (message) => (message.value?.length ?? 0) > 100_000
    while (end < messages.length && end < begin + AT_ONCE && !long(messages[end]) && !long(messages[begin])) {
      end++
    }
    await producer.send({
      topic,
      acks: acks === 'all' ? -1 : Number(acks),
      compression: CODECS[codec],
      messages: messages.slice(begin, end),
    })
    begin = end
  }
  await producer.disconnect()
}

async function read(kafka, topics, path, partitions) {
  const wanted = lines(path)
  topics = topics.split(',')
  const next = Object.fromEntries(topics.map((topic) => [topic, Array(Number(partitions)).fill(0)]))
  let left = wanted.length * topics.length
  const consumer = kafka.consumer({ groupId: `read-${topics[0]}-${process.pid}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  await new Promise((done, failed) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => failed(payload.error))
    const take = async ({ topic, partition, message }) => {
      const offset = next[topic][partition]++
      check(message.offset === `${offset}`, `${topic}-${partition}: offset ${message.offset} instead of ${offset}`)
      const index = offset * partitions + partition
      const want = record(index, wanted[index], partitions)
      check(same(message, want), `record ${index} of ${topic} differs`)
      left--
      if (left === 0) {
        done()
      }
    }
    consumer.run({ autoCommit: false, eachMessage: (message) => take(message).catch(failed) }).catch(failed)
  })
  await consumer.disconnect()
}

module.exports = { read, write }
