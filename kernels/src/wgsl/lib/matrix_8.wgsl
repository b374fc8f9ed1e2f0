// Cooperative matrices of 8x8: f16 factors, f32 sums. coopLoadT reads rows, coopLoad columns.
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sum = coop_mat8x8<f32, C>;
