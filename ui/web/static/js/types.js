// What is known of types: bits and colours.

/** Bits per weight of tensor types, from their block layouts. @type {Record<string, number>} */
export const tensorBits = {
  f64: 64, i64: 64, f32: 32, i32: 32, f16: 16, bf16: 16, i16: 16, q8_K: 9.125, q8_1: 9, q8_0: 8.5, i8: 8, q6_K: 6.5625, q5_1: 6, q5_K: 5.5, q5_0: 5.5, q4_1: 5,
  q4_K: 4.5, q4_0: 4.5, iq4_nl: 4.5, nvfp4: 4.5, iq4_xs: 4.25, mxfp4: 4.25, q3_K: 3.4375, iq3_s: 3.4375, iq3_xxs: 3.0625, q2_K: 2.625, iq2_s: 2.5625, iq2_xs: 2.3125,
  q2_0: 2.25, iq2_xxs: 2.0625, tq2_0: 2.0625, iq1_m: 1.75, tq1_0: 1.6875, iq1_s: 1.5625, q1_0: 1.125,
};

/** Deviation as a share of the spread, from the cosine of what was measured. @param {number | null} cosine */
export const deviation = (cosine) => (cosine == null ? null : Math.sqrt(Math.max(0, 1 - cosine * cosine)));

// viridis, at nine places
const stops = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];

/** A colour of the ramp and the colour of text upon it. @param {number} t 0..1 */
export function ramp(t) {
  const x = Math.min(1, Math.max(0, t)) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(x));
  const c = stops[i].map((a, k) => Math.round(a + (stops[i + 1][k] - a) * (x - i)));
  const light = [0.2126, 0.7152, 0.0722].reduce((sum, w, k) => sum + w * (c[k] / 255) ** 2.2, 0);
  return { fill: `rgb(${c.join(" ")})`, ink: light > 0.18 ? "#0b0d10" : "#ffffff" };
}

/** Colour of a tensor type: more bits, more light. @param {string} type */
export function typeColour(type) {
  const b = tensorBits[type];
  return b ? ramp((Math.log2(b) - 1) / 3) : { fill: "#888c94", ink: "#0b0d10" };
}

/** Colour of a deviation between a thousandth and a third. @param {number} e */
export const errorColour = (e) => ramp(e <= 0 ? 0 : (Math.log10(e) + 3) / 2.5);

/** Colour of a number of bits per weight. @param {number} b */
export const bitsColour = (b) => ramp((Math.log2(b) - 1) / 3);
