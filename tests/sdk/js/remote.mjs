// The JS SDK by remote control: the same lines in and out as remote.py, with the options of that language.
import { createInterface } from 'node:readline'
import { Sandbox, SandboxError } from 'e2b'

const sandboxes = new Map()
const of = (name) => sandboxes.get(name)
const calls = {
  create: async (name, _, options) => {
    const sandbox = await Sandbox.create('base', { timeoutMs: 600_000, metadata: { name }, ...options })
    sandboxes.set(name, sandbox)
    return sandbox.sandboxId
  },
  list: async (_n, _a, options) => (await Sandbox.list(options).nextItems()).map((s) => s.sandboxId),
  fork: async (name, arg, options) => (await of(name).fork({ count: arg, ...options })).length,
  kill: (name, _, options) => of(name).kill(options),
  set_timeout: (name, arg, options) => of(name).setTimeout(arg * 1000, options),
  info: async (name, _, options) => (await of(name).getInfo(options)).state,
  connect: async (name, _, options) => (await of(name).connect(options)).sandboxId,
  run: async (name, arg) => (await of(name).commands.run(arg)).stdout,
  processes: async (name) => (await of(name).commands.list()).length,
  directory: async (name, arg) => (await of(name).files.list(arg)).length,
  read: (name, arg) => of(name).files.read(arg),
  write: async (name, arg) => (await of(name).files.write(arg, 'text')).path,
  alive: (name) => of(name).isRunning(),
}
const SPELLED = { api_url: 'apiUrl', sandbox_url: 'sandboxUrl' }

async function outcome(order) {
  const options = Object.fromEntries(Object.entries(order.options ?? {}).map(([k, v]) => [SPELLED[k] ?? k, v]))
  try {
    return { class: null, value: await calls[order.do](order.name ?? '', order.arg, options) }
  } catch (why) {
    return {
      class: why.constructor.name,
      sandbox_exception: why instanceof SandboxError,
      status: why.statusCode ?? null,
      message: why.message,
    }
  }
}

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const order = JSON.parse(line)
    process.stdout.write(JSON.stringify({ id: order.id, ...(await outcome(order)) }) + '\n')
  })
  .on('close', () => process.exit(0))
