// Cooperative matrices of 16x16: f16 factors, f32 sums. coopLoadT reads rows, coopLoad columns.
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
