// A pod's life with `@kubernetes/client-node`. Arguments: stage's namespace, own namespace, manifest, level.

import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import * as readline from 'node:readline';
import { Attach, CoreV1Api, Exec, KubeConfig, Log, PatchStrategy, Watch, setHeaderOptions } from '@kubernetes/client-node';

const config = new KubeConfig();
config.loadFromDefault();
const pods = config.makeApiClient(CoreV1Api);

/** What a call fails with. */
async function error(call) {
  try {
    await call;
  } catch (why) {
    return [why.constructor.name, why.code ?? why.message];
  }
  return null;
}

/** What the pods of the stage look like. */
async function reading(stage) {
  const dead = await pods.readNamespacedPod({ name: 'dead', namespace: stage });
  const killed = dead.status.containerStatuses.find((one) => one.name === 'sandbox').state.terminated;
  const pages = [await pods.listNamespacedPod({ namespace: stage, limit: 2 })];
  while (pages.at(-1).metadata._continue) {
    const more = { namespace: stage, limit: 2, _continue: pages.at(-1).metadata._continue };
    pages.push(await pods.listNamespacedPod(more));
  }
  const failed = await pods.listNamespacedPod({ namespace: stage, fieldSelector: 'status.phase=Failed' });
  return {
    get: [dead.status.phase, dead.status.reason ?? null, killed.reason, killed.exitCode],
    list: Object.fromEntries(pages.flatMap((page) => page.items).map((pod) => [pod.metadata.name, pod.status.phase])),
    failed: failed.items.map((pod) => pod.metadata.name).sort(),
    missing: await error(pods.readNamespacedPod({ name: 'nobody', namespace: stage })),
  };
}

/** Exec over WebSocket: standard output, standard error, exit code. */
async function run(pod, container, command, read) {
  const [out, err, input] = [new PassThrough(), new PassThrough(), read ? new PassThrough() : null];
  const { name, namespace } = pod.metadata;
  const status = await new Promise((resolve, reject) => {
    new Exec(config).exec(namespace, name, container, command, out, err, input, false, resolve).catch(reject);
    input?.write(read);
  });
  out.end();
  err.end();
  const code = status.status === 'Success' ? 0 : Number(status.details.causes[0].message);
  return [await text(out), await text(err), code];
}

/** Have the sandbox do a line of shell. */
async function order(pod, line) {
  await run(pod, 'sandbox', ['sh', '-c', 'printf "%s\\n" "$1" >/orders', 'sh', line]);
}

/** Exec and a followed log, while the pod runs; then its sandbox ends with 3. */
async function streams(pod) {
  const found = {
    exec: await run(pod, 'sidecar', ['sh', '-c', 'echo out; echo err >&2; exit 7']),
    stdin: await run(pod, 'sidecar', ['sh', '-c', 'read line; echo got $line'], 'this\n'),
  };
  await order(pod, 'echo one');
  const flow = new PassThrough();
  await new Log(config).log(pod.metadata.namespace, pod.metadata.name, 'sandbox', flow, { follow: true });
  const lines = readline.createInterface({ input: flow })[Symbol.asyncIterator]();
  found.log = [(await lines.next()).value];
  await order(pod, 'echo two; exit 3');
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    found.log.push(line.value);
  }
  return found;
}

/** How the containers are. */
function states(pod) {
  return (pod.status.containerStatuses ?? []).map((one) => Object.keys(one.state)[0]);
}

/** Follow the pod until its sandbox has ended, or, without a node, until its label is there. */
async function watched(pod, level) {
  const phases = [];
  let told = {};
  const { name, namespace, resourceVersion } = pod.metadata;
  await new Promise((resolve, reject) => {
    let controller, doing;
    const query = { fieldSelector: `metadata.name=${name}`, resourceVersion };
    const heard = (kind, shown) => {
      if (phases.at(-1) !== shown.status.phase) {
        phases.push(shown.status.phase);
      }
      if (level === 'node' && !doing && states(shown).join() === 'running,running') {
        doing = streams(shown).then((found) => (told = found));
        doing.catch(reject);
      }
      if ((level === 'control' && shown.metadata.labels?.patched) || states(shown).includes('terminated')) {
        Promise.resolve(doing).then(() => (resolve(), controller.abort()));
      }
    };
    const watching = new Watch(config).watch(`/api/v1/namespaces/${namespace}/pods`, query, heard, (why) => why && reject(why));
    watching.then((found) => (controller = found), reject);
  });
  return [phases, told];
}

/** A pod made, changed, watched to its end, deleted. */
async function living(own, manifest, level) {
  const created = await pods.createNamespacedPod({ namespace: own, body: manifest });
  const { name } = created.metadata;
  const again = await error(pods.createNamespacedPod({ namespace: own, body: manifest }));
  const change = { name, namespace: own, body: { metadata: { labels: { patched: 'yes' } } } };
  const patched = await pods.patchNamespacedPod(change, setHeaderOptions('Content-Type', PatchStrategy.MergePatch));
  const [phases, told] = await watched(created, level);
  let attach = null;
  if (level === 'node') {
    attach = await error(new Attach(config).attach(own, name, 'sandbox', new PassThrough(), null, null, false));
  }
  const deleted = await pods.deleteNamespacedPod({ name, namespace: own, gracePeriodSeconds: 0 });
  return {
    created: created.status.phase,
    again,
    patched: patched.metadata.labels,
    phases,
    streams: told,
    attach,
    deleted: deleted.status.phase,
    gone: await error(pods.readNamespacedPod({ name, namespace: own })),
  };
}

const [stage, own, manifest, level] = process.argv.slice(2);
const told = { ...(await reading(stage)), ...(await living(own, JSON.parse(readFileSync(manifest)), level)) };
process.stdout.write(JSON.stringify(told), () => process.exit(0));
