'use strict'

// Drives the server through kafkajs, which reads only in groups:
//
//   main.js BROKER write TOPIC FILE PARTITIONS CODEC ACKS IDEMPOTENT
//   main.js BROKER read TOPIC[,TOPIC...] FILE PARTITIONS
//   main.js BROKER positions TOPIC FILE PARTITIONS
//   main.js BROKER admin TOPIC
//   main.js BROKER group TOPIC
//   main.js BROKER member GROUP TOPIC NOTES STOP ASSIGNOR SESSION_MS

const { connect } = require('./client')

const COMMANDS = {
  write: () => require('./exchange').write,
  read: () => require('./exchange').read,
  positions: () => require('./positions'),
  admin: () => require('./admin'),
  group: () => require('./group'),
  member: () => require('./member'),
}
const LIMIT_MS = 90_000

async function main([broker, command, ...words]) {
  if (command !== 'member') {
    setTimeout(() => fail(new Error('nothing more happens')), LIMIT_MS).unref()
  }
  await COMMANDS[command]()(await connect(broker), ...words)
}

function fail(error) {
  console.error(error)
  process.exit(1)
}

process.on('unhandledRejection', fail)
main(process.argv.slice(2)).then(() => process.exit(0), fail)
