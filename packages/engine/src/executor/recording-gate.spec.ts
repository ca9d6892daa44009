import { RecordingGate } from './recording-gate.js';

/** A piece of work that ends when it is told to. */
function work(name: string, order: string[]) {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const run = async () => {
    order.push(`${name} begins`);
    await ended;
    order.push(`${name} ends`);
  };
  return { run, end };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the gate of recordings', () => {
  it('records after what is being made, and has what is asked for meanwhile wait', async () => {
    const gate = new RecordingGate();
    const order: string[] = [];
    const [first, recording, second] = ['first', 'recording', 'second'].map((name) =>
      work(name, order),
    );
    const all = [gate.make(first!.run), gate.record(recording!.run), gate.make(second!.run)];
    await turn();
    expect(order).toEqual(['first begins']);
    first!.end();
    await turn();
    expect(order.slice(1)).toEqual(['first ends', 'recording begins']);
    recording!.end();
    await turn();
    expect(order.slice(3)).toEqual(['recording ends', 'second begins']);
    second!.end();
    await Promise.all(all);
  });

  it('goes on after what fails', async () => {
    const gate = new RecordingGate();
    const fail = () => Promise.reject(new Error('no'));
    await expect(gate.record(fail)).rejects.toThrow('no');
    await expect(gate.make(fail)).rejects.toThrow('no');
    await expect(gate.record(async () => 'recorded')).resolves.toBe('recorded');
  });
});
