// y = activation(a · wᵀ + bias) + residual by cooperative matrices. Layout and bindings: ../gemm/operands.wgsl.
// Grid: linear, one workgroup for ROWS rows and COLUMNS columns (half as many values, and their gates, for GEGLU).
// Numerics: f16 factors, f32 sums over k in ascending order, the same for every tile.
// Needs: cooperative matrices, subgroups of LANES in the order of the workgroup.
override tail: bool = true; // DEPTH does not divide k

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32, @builtin(subgroup_id) subgroup: u32,
        @builtin(subgroup_invocation_id) lane: u32) {
    let tile = group.y * groups.x + group.x;
    if (tile >= params.tiles) { return; }
    let place = tile_place(tile);
    let batch = place.x;
    let geglu = activation == GEGLU;
    let row = place.y * ROWS;
    let column = place.z * select(COLUMNS, COLUMNS / 2u, geglu);
    let rows_of = subgroup / ACROSS * LEFT * SIDE;
    let columns_of = subgroup % ACROSS * RIGHT * SIDE;
    let pair = 2u * (local % PAIRS);
    let mine = local / PAIRS;
    let put = mine * STRIDE + pair;
    //: for i in LEFT_LOADS
    let left$i = (batch * params.m + min(row + mine + $iu * LOAD_ROWS, params.m - 1u)) * params.k4;
    var left$i_next = Eight();
    //: end
    //: for i in RIGHT_LOADS
    let column$i = mine + $iu * LOAD_ROWS;
    let right$i = select(weight_row(column + column$i, 0u, batch),
                         weight_row(column + geglu_column(column$i), geglu_part(column$i), batch), geglu);
    var right$i_next = Eight();
    //: end
    //: for i in LEFT
    //: for j in RIGHT
    var s$i_$j = Sum();
    //: end
    //: end
    let last = params.k4 - 1u;
    // Part group.z of the sum where it is split.
    part = group.z;
    let all = (params.k4 + STEP - 1u) / STEP;
    let begin = select(0u, group.z * params.split, SPLIT != 0u);
    let steps = select(all, min(begin + params.split, all), SPLIT != 0u);
    {
        let t = begin;
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

// Two neighbouring fragments to memory: results side by side, or values and their gates.
fn drain(geglu: bool, batch: u32, row: u32, column: u32, first: Share, second: Share, lane: u32) {
    let none = vec4<f32>();
    let at = share_place(lane);
    let below = share_place(lane + LANES);
    finish(first.a, select(none, second.a, geglu), batch, row + at.x, column + at.y);
    finish(first.b, select(none, second.b, geglu), batch, row + below.x, column + below.y);
    if (!geglu) {
        finish(second.a, none, batch, row + at.x, column + SIDE + at.y);
        finish(second.b, none, batch, row + below.x, column + SIDE + below.y);
    }
}

//: use gemm_fetch

//: block load
            // The next part of the sum, into registers.
            let k = t * STEP + pair;
            //: for i in LEFT_LOADS
            left$i_next = fetch_left(left$i, k, last);
            //: end
            //: for i in RIGHT_LOADS
            right$i_next = fetch_right(right$i, k, last);
            //: end
//: end

//: block drain
    let base = subgroup * SIDE * STRIP_STRIDE;
    //: for i in LEFT
    //: for j in RIGHT / 2
    {
        coopStoreT(s$i_$je, &strips[base], STRIP_STRIDE);
        subgroupBarrier();
        let first = leave(base, lane);
        subgroupBarrier();
        coopStoreT(s$i_$jo, &strips[base], STRIP_STRIDE);
        subgroupBarrier();
        let second = leave(base, lane);
        subgroupBarrier();
        let at = columns_of + $ju * 2u * SIDE;
        drain(geglu, batch, row + rows_of + $iu * SIDE, column + select(at, at / 2u, geglu), first, second, lane);
    }
    //: end
    //: end
//: end
