// y = activation(x * w + bias + time embedding) + residual by cooperative matrices, an implicit product over (tap row,
// tap column, channel). Layout and bindings: ../conv2d/operands.wgsl.
// Grid: linear, one workgroup for ROWS output pixels and COLUMNS channels.
// Numerics: f16 factors, f32 sums in ascending order of (tap row, tap column, channel), the same for every tile.
// Needs: cooperative matrices, subgroups of LANES in the order of the workgroup.
override tail: bool = true; // DEPTH does not divide the channels
override two_sources: bool = false;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32, @builtin(subgroup_id) subgroup: u32,
        @builtin(subgroup_invocation_id) lane: u32) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) { return; }
    let place = tile_place(tile);
    let row = place.x * ROWS;
    let column = place.y * COLUMNS;
    let rows_of = subgroup / ACROSS * LEFT * SIDE;
    let columns_of = subgroup % ACROSS * RIGHT * SIDE;
    let pair = 2u * (local % PAIRS);
    let mine = local / PAIRS;
    let put = mine * STRIDE + pair;
    let depth = params.c4 + params.s4;
    //: for i in LEFT_LOADS
    let pixel$i = pixel_place(row + mine + $iu * LOAD_ROWS);
    var left$i_next = Eight();
    //: end
    //: for i in RIGHT_LOADS
    let right$i = weight_row(column + mine + $iu * LOAD_ROWS);
    var right$i_next = Eight();
    //: end
    //: for i in LEFT
    //: for j in RIGHT
    var s$i_$j = Sum();
    //: end
    //: end
    let blocks = (depth + STEP - 1u) / STEP;
    // Part group.z of the sum where it is split.
    part = group.z;
    let all = params.taps * params.taps * blocks;
    let begin = select(0u, group.z * params.split, SPLIT != 0u);
    let steps = select(all, min(begin + params.split, all), SPLIT != 0u);
    var tap = begin / blocks;
    var block = begin % blocks;
    var ty = tap / params.taps;
    var tx = tap % params.taps;
    //: for i in LEFT_LOADS
    var tap$i = tap_at(pixel$i, ty, tx);
    //: end
    {
        //: use load
    }
    {
        let half = begin & 1u;
        //: use store
    }
    workgroupBarrier();
    for (var step = begin; step < steps; step += 1u) {
        let t = step + 1u;
        if (t < steps) {
            block += 1u;
            if (block == blocks) {
                block = 0u;
                tap += 1u;
                tx += 1u;
                if (tx == params.taps) { tx = 0u; ty += 1u; }
                //: for i in LEFT_LOADS
                tap$i = tap_at(pixel$i, ty, tx);
                //: end
            }
            //: use load
        }
        //: use multiply
        if (t < steps) {
            let half = t & 1u;
            //: use store
        }
        workgroupBarrier();
    }
    //: use drain
}

// A fragment to memory.
fn drain(row: u32, column: u32, share: Share, lane: u32) {
    let at = share_place(lane);
    let below = share_place(lane + LANES);
    finish(share.a, pixel_place(row + at.x).x, row + at.x, column + at.y);
    finish(share.b, pixel_place(row + below.x).x, row + below.x, column + below.y);
}

//: use conv2d_fetch

//: block load
            // The next part of the sum, into registers.
            let c = block * STEP + pair;
            //: for i in LEFT_LOADS
            left$i_next = fetch_left(tap$i, c, depth - 1u);
            //: end
            //: for i in RIGHT_LOADS
            right$i_next = fetch_right(right$i + tap * depth, c, depth - 1u);
            //: end
//: end

//: block drain
    let base = subgroup * SIDE * STRIP_STRIDE;
    //: for i in LEFT
    //: for j in RIGHT
    {
        coopStoreT(s$i_$j, &strips[base], STRIP_STRIDE);
        subgroupBarrier();
        drain(row + rows_of + $iu * SIDE, column + columns_of + $ju * SIDE, leave(base, lane), lane);
        subgroupBarrier();
    }
    //: end
    //: end
//: end
