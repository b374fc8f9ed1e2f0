// Pinhole cameras and the equirectangular canvas; one convention for both directions. Needs angles.wgsl and a binding
// `cameras: array<vec4<f32>>`, four vectors a view: rotation camera -> world (9, by rows), focal length, principal point (2),
// view size (2), all in pixels of that size, tangents of the used half field in x and y (2).
// Camera axes: x right, y down, z forward. Pixel and texel centres are at + 0.5. Longitude = atan2(x, z), latitude =
// atan2(y, hypot(x, z)), positive below the horizon; canvas X = (longitude / 2 pi + 1/2) W, Y = (latitude / pi + 1/2) H.
struct Camera {
    row0: vec3<f32>, row1: vec3<f32>, row2: vec3<f32>,
    focal: f32, principal: vec2<f32>, size: vec2<f32>, used: vec2<f32>,
}

fn camera_of(view: u32) -> Camera {
    let a = cameras[4u * view];
    let b = cameras[4u * view + 1u];
    let c = cameras[4u * view + 2u];
    let d = cameras[4u * view + 3u];
    return Camera(a.xyz, vec3<f32>(a.w, b.xy), vec3<f32>(b.zw, c.x), c.y, c.zw, d.xy, d.zw);
}

// World direction (not normalised) through pixel position p of a view that is `size` pixels large.
fn view_ray(cam: Camera, p: vec2<f32>, size: vec2<f32>) -> vec3<f32> {
    let d = vec3<f32>((p * cam.size / size - cam.principal) / cam.focal, 1.0);
    return vec3<f32>(dot(cam.row0, d), dot(cam.row1, d), dot(cam.row2, d));
}

// World direction in camera axes.
fn to_camera(cam: Camera, ray: vec3<f32>) -> vec3<f32> {
    return cam.row0 * ray.x + cam.row1 * ray.y + cam.row2 * ray.z;
}

// Pixel position of a camera-space direction given by its tangents, in a view that is `size` pixels large.
fn view_position(cam: Camera, tangent: vec2<f32>, size: vec2<f32>) -> vec2<f32> {
    return (tangent * cam.focal + cam.principal) * size / cam.size;
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

// i wrapped into 0..n from -n..2n, and never outside whatever i is.
fn wrap_index(i: i32, n: i32) -> i32 {
    return clamp(select(select(i, i - n, i >= n), i + n, i < 0), 0, n - 1);
}
