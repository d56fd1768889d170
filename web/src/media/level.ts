/** Loudness of a track for the level meter. */

let shared: AudioContext | null = null;
let watchers = 0;

/** Call `onLevel` (0…1, about 12 times a second) until the returned function is called. */
export function watchLevel(track: MediaStreamTrack, onLevel: (level: number) => void): () => void {
  shared ??= new AudioContext();
  const context = shared;
  watchers += 1;
  void context.resume();
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / samples.length + 1e-9);
    onLevel(Math.max(0, Math.min(1, (decibels + 60) / 50)));
  }, 80);
  return () => {
    clearInterval(timer);
    source.disconnect();
    watchers -= 1;
    // An audio context costs a thread as long as it runs, watched or not.
    if (watchers === 0) void context.suspend();
  };
}
