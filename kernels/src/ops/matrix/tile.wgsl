// The tile of a product in cooperative matrices: a part that gemm_matrix and conv2d_matrix share.
// ROWS x COLUMNS results by SUBGROUPS subgroups, each with LEFT x RIGHT fragments of SIDE x SIDE sums in registers;
// DEPTH of the sum at a time through workgroup memory, double buffered: while one half is multiplied the next is on its
// way in registers. Rows of workgroup memory are 8 halves longer than DEPTH: aligned to 16 bytes and spread over banks.
// unroll.rs expands `for`, `block` and `use`: fragments need names, arrays of them go to slow memory.

const STEP: u32 = DEPTH / 4u;
const STRIDE: u32 = DEPTH / 4u + 2u;
const PAIRS: u32 = DEPTH / 8u;
const STRIP_STRIDE: u32 = SIDE + PAD;

var<workgroup> left: array<vec4<f16>, 2u * ROWS * STRIDE>;
var<workgroup> right: array<vec4<f16>, 2u * COLUMNS * STRIDE>;
// One fragment of sums of each subgroup on its way out.
var<workgroup> strips: array<f32, SUBGROUPS * SIDE * STRIP_STRIDE>;

// Which part of a split sum this workgroup adds.
var<private> part: u32;

// Columns of the tile that GEGLU takes as values (0) and gates (1): fragments alternate, so that one subgroup has both.
fn geglu_part(column: u32) -> u32 { return column / SIDE % 2u; }
fn geglu_column(column: u32) -> u32 { return column / (2u * SIDE) * SIDE + column % SIDE; }

// An invocation's two 4-vectors of a fragment, and where they lie in it: (row, column).
struct Share { a: vec4<f32>, b: vec4<f32> }

fn share_place(i: u32) -> vec2<u32> { return vec2<u32>(i / (SIDE / 4u), 4u * (i % (SIDE / 4u))); }

fn sums(base: u32, place: vec2<u32>) -> vec4<f32> {
    let at = base + place.x * STRIP_STRIDE + place.y;
    return vec4<f32>(strips[at], strips[at + 1u], strips[at + 2u], strips[at + 3u]);
}

fn leave(base: u32, lane: u32) -> Share {
    return Share(sums(base, share_place(lane)), sums(base, share_place(lane + LANES)));
}

//: block store
            let to_left = half * ROWS * STRIDE + put;
            let to_right = half * COLUMNS * STRIDE + put;
            //: for i in LEFT_LOADS
            left[to_left + $iu * LOAD_ROWS * STRIDE] = low_half(left$i_next);
            left[to_left + $iu * LOAD_ROWS * STRIDE + 1u] = high_half(left$i_next);
            //: end
            //: for i in RIGHT_LOADS
            right[to_right + $iu * LOAD_ROWS * STRIDE] = low_half(right$i_next);
            right[to_right + $iu * LOAD_ROWS * STRIDE + 1u] = high_half(right$i_next);
            //: end
//: end

//: block multiply
        let from_left = (step & 1u) * ROWS * STRIDE;
        let from_right = (step & 1u) * COLUMNS * STRIDE;
        //: for k in DEPTH / SIDE
        {
            //: for j in RIGHT
            let at_b$j = from_right + (columns_of + $ju * SIDE) * STRIDE + $ku * SIDE / 4u;
            let b$j = coopLoad<Right>(&right[at_b$j], STRIDE);
            //: end
            //: for i in LEFT
            let at_a$i = from_left + (rows_of + $iu * SIDE) * STRIDE + $ku * SIDE / 4u;
            let a$i = coopLoadT<Left>(&left[at_a$i], STRIDE);
            //: for j in RIGHT
            s$i_$j = coopMultiplyAdd(a$i, b$j, s$i_$j);
            //: end
            //: end
        }
        //: end
//: end
