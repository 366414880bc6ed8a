// A sandbox's whole life through the JS SDK: the same document as journey.py, as far as the SDKs agree.
//
// That output arrives live is proved without a clock: the command waits for a file, and the client writes that file
// only after the command's first line has reached it.
import { Sandbox } from 'e2b'

const METADATA = { who: 'a b & c=d', run: 'journey' }
const LIVE = 'echo first; until [ -f /home/user/go ]; do sleep 0.01; done; echo second'
const TEXT = 'héllo\n'.repeat(1000)
const BYTES = Uint8Array.from({ length: 256 * 64 }, (_, i) => i % 256)

async function outcome(call) {
  try {
    return await call()
  } catch (why) {
    return why.constructor.name
  }
}

async function listed(query) {
  const pages = Sandbox.list({ query, limit: 1 })
  const found = []
  while (pages.hasNext) found.push(...(await pages.nextItems()))
  return found.map((s) => s.sandboxId)
}

async function liveOutput(sandbox) {
  const seen = []
  const writes = []
  await sandbox.commands.run(LIVE, {
    timeoutMs: 30_000,
    onStdout: (piece) => {
      for (const line of piece.split('\n').filter(Boolean)) {
        seen.push(line)
        if (line !== 'first') continue
        seen.push('client wrote')
        writes.push(sandbox.files.write('/home/user/go', ''))
      }
    },
  })
  await Promise.all(writes)
  return seen
}

async function background(sandbox) {
  const handle = await sandbox.commands.run('sleep 3600', { background: true })
  const running = (await sandbox.commands.list()).map((p) => p.pid)
  const killed = await handle.kill()
  await handle.wait().catch(() => undefined)
  return { was_listed: running.includes(handle.pid), killed, again: await sandbox.commands.kill(handle.pid) }
}

async function failed(sandbox) {
  try {
    await sandbox.commands.run('echo out; echo err >&2; exit 3')
    return { class: null }
  } catch (why) {
    return { class: why.constructor.name, code: why.exitCode }
  }
}

async function dataPlane(sandbox) {
  const result = await sandbox.commands.run('echo $GREETING; pwd')
  const written = await sandbox.files.write('/home/user/deep/note.txt', TEXT)
  await sandbox.files.write('/home/user/raw.bin', BYTES.buffer)
  const bytes = await sandbox.files.read('/home/user/raw.bin', { format: 'bytes' })
  return {
    running: await sandbox.isRunning(),
    stdout: result.stdout,
    exit_code: result.exitCode,
    live: await liveOutput(sandbox),
    lines: (await sandbox.commands.run('seq 20000')).stdout.trimEnd().split('\n').length,
    failed: await failed(sandbox),
    background: await background(sandbox),
    written: [written.name, written.path],
    read: (await sandbox.files.read('/home/user/deep/note.txt')) === TEXT,
    bytes: Buffer.from(bytes).equals(Buffer.from(BYTES)),
    listed: (await sandbox.files.list('/home/user')).map((e) => e.name).sort(),
    exists: [await sandbox.files.exists('/home/user/go'), await sandbox.files.exists('/nowhere')],
  }
}

async function journey() {
  const sandbox = await Sandbox.create('base', {
    timeoutMs: 120_000,
    metadata: METADATA,
    envs: { GREETING: 'hello' },
  })
  const other = await Sandbox.create('base', { timeoutMs: 120_000 })
  const info = await sandbox.getInfo()
  await sandbox.setTimeout(600_000)
  const longer = await sandbox.getInfo()
  const all = await listed()
  const told = {
    info: [info.templateId, info.metadata, info.state, Math.floor((info.endAt - info.startedAt) / 1000)],
    extended: longer.endAt > info.endAt,
    listed: all.includes(sandbox.sandboxId) && all.includes(other.sandboxId),
    found: (await listed({ metadata: METADATA })).map((id) => id === sandbox.sandboxId),
    data: await dataPlane(sandbox),
  }
  told.paused = (await sandbox.pause()) !== false
  told.state = (await Sandbox.getInfo(sandbox.sandboxId)).state
  const again = await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 90_000 })
  told.resumed = [again.sandboxId === sandbox.sandboxId, await outcome(() => again.files.read('go'))]
  told.killed = [await again.kill(), await again.kill(), await other.kill()]
  told.afterwards = await outcome(async () => (await Sandbox.connect(sandbox.sandboxId)) && 'connected')
  return told
}

process.stdout.write(JSON.stringify(await journey()) + '\n')
process.exit(0) // the SDK's idle connections would keep Node alive
