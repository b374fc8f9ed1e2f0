// Pinhole cameras, equi-angular faces and the equirectangular canvas. Needs angles.wgsl; words as in views.wgsl, of which
// numbers 0 to 8 are the rotation camera -> world by rows, 9 the focal length, 10 and 11 the principal point, all in pixels of
// the nominal view. Cameras: the plane is that of tangents. Faces: of angles, in turns, so the focal length is pixels per turn.
// The field in use (14, 15) is given by tangents for both: six faces that share a rotation compare the same numbers at their
// borders, and so tile the sphere exactly.
// Camera axes: x right, y down, z forward. Longitude = atan2(x, z), latitude = atan2(y, hypot(x, z)), positive below the
// horizon; canvas X = (longitude / 2 pi + 1/2) W, Y = (latitude / pi + 1/2) H.
struct Camera {
    row0: vec3<f32>, row1: vec3<f32>, row2: vec3<f32>,
    focal: f32, principal: vec2<f32>, size: vec2<f32>, used: vec2<f32>,
}

fn camera_of(view: u32) -> Camera {
    let a = words[5u * view];
    let b = words[5u * view + 1u];
    let c = words[5u * view + 2u];
    let d = words[5u * view + 3u];
    return Camera(a.xyz, vec3<f32>(a.w, b.xy), vec3<f32>(b.zw, c.x), c.y, c.zw, d.xy, d.zw);
}

fn to_world(cam: Camera, d: vec3<f32>) -> vec3<f32> {
    return vec3<f32>(dot(cam.row0, d), dot(cam.row1, d), dot(cam.row2, d));
}

// World direction in camera axes.
fn to_camera(cam: Camera, ray: vec3<f32>) -> vec3<f32> {
    return cam.row0 * ray.x + cam.row1 * ray.y + cam.row2 * ray.z;
}

// Direction (not normalised) at the angles of a face: (tan a, tan b, 1), times cos a cos b.
fn face_direction(turns: vec2<f32>) -> vec3<f32> {
    let a = cos_sin_turns(turns.x);
    let b = cos_sin_turns(turns.y);
    return vec3<f32>(a.y * b.x, b.y * a.x, a.x * b.x);
}

// Unit direction of the centre of canvas texel (column, row).
fn equirect_ray(texel: vec2<i32>, size: vec2<i32>) -> vec3<f32> {
    let lon = cos_sin_ratio(2 * (2 * texel.x + 1 - size.x), size.x);
    let lat = cos_sin_ratio(2 * texel.y + 1 - size.y, size.y);
    return vec3<f32>(lon.y * lat.x, lat.y, lon.x * lat.x);
}

// Canvas position of a direction, in texels. Off by less than 1e-3 texel at 8192 x 4096.
fn equirect_position(ray: vec3<f32>, size: vec2<f32>) -> vec2<f32> {
    let lon = atan2_turns(ray.x, ray.z);
    let lat = atan2_turns(ray.y, sqrt(ray.x * ray.x + ray.z * ray.z));
    return vec2<f32>(lon * size.x + 0.5 * size.x, (2.0 * lat) * size.y + 0.5 * size.y);
}
