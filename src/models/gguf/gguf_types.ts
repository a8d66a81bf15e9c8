/** Bytes per block and elements per block of each tensor type llama.cpp stores. */
export interface TensorType {
  /** Number in the file. */
  readonly id: number;
  readonly name: string;
  readonly blockElements: number;
  readonly blockBytes: number;
}

const SCALARS: readonly (readonly [number, string, number])[] = [
  [0, "F32", 4],
  [1, "F16", 2],
  [24, "I8", 1],
  [25, "I16", 2],
  [26, "I32", 4],
  [27, "I64", 8],
  [28, "F64", 8],
  [30, "BF16", 2],
];

/** Quantised types: number in the file, name, elements per block, bytes per block. */
const BLOCKS: readonly (readonly [number, string, number, number])[] = [
  [2, "Q4_0", 32, 18],
  [3, "Q4_1", 32, 20],
  [6, "Q5_0", 32, 22],
  [7, "Q5_1", 32, 24],
  [8, "Q8_0", 32, 34],
  [9, "Q8_1", 32, 36],
  [10, "Q2_K", 256, 84],
  [11, "Q3_K", 256, 110],
  [12, "Q4_K", 256, 144],
  [13, "Q5_K", 256, 176],
  [14, "Q6_K", 256, 210],
  [15, "Q8_K", 256, 292],
  [16, "IQ2_XXS", 256, 66],
  [17, "IQ2_XS", 256, 74],
  [18, "IQ3_XXS", 256, 98],
  [19, "IQ1_S", 256, 50],
  [20, "IQ4_NL", 32, 18],
  [21, "IQ3_S", 256, 110],
  [22, "IQ2_S", 256, 82],
  [23, "IQ4_XS", 256, 136],
  [29, "IQ1_M", 256, 56],
  [34, "TQ1_0", 256, 54],
  [35, "TQ2_0", 256, 66],
  [39, "MXFP4", 32, 17],
  [40, "NVFP4", 64, 36],
  [41, "Q1_0", 128, 18],
  [42, "Q2_0", 64, 18],
];

/** By the number in the file. A type that is not here can't be measured, so its file is refused. */
export const TENSOR_TYPES: ReadonlyMap<number, TensorType> = new Map([
  ...SCALARS.map(([id, name, blockBytes]) =>
    [id, { id, name, blockElements: 1, blockBytes }] as const
  ),
  ...BLOCKS.map(([id, name, blockElements, blockBytes]) =>
    [id, { id, name, blockElements, blockBytes }] as const
  ),
]);

/** Names of `general.file_type`, by position; `-` where llama.cpp dropped a type. */
const FILE_TYPES = (
  "F32 F16 Q4_0 Q4_1 - - - Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S " +
  "Q5_K_M Q6_K IQ2_XXS IQ2_XS Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M " +
  "IQ4_XS IQ1_M BF16 - - - TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0 Q2_0"
).split(" ");

/** Quantisation of a whole file; `unknown` for numbers without a name. */
export function fileTypeName(fileType: number): string {
  const name = FILE_TYPES[fileType];
  return name === undefined || name === "-" ? "unknown" : name;
}
