use super::AdamScalars;

/// One step of Adam in f64 on `[canvas, first moment, second moment]`, from gradients.
pub fn adam([canvas, m, v]: [&mut [f64]; 3], gradients: &[f64], scalars: &AdamScalars) {
    let t = f64::from(scalars.step);
    let [beta1, beta2] = scalars.betas;
    for (i, g) in gradients.iter().enumerate() {
        m[i] = beta1 * m[i] + (1.0 - beta1) * g;
        v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
        let (mean, square) = (m[i] / (1.0 - beta1.powf(t)), v[i] / (1.0 - beta2.powf(t)));
        canvas[i] -= scalars.rate * mean / (square.sqrt() + scalars.epsilon);
    }
}
