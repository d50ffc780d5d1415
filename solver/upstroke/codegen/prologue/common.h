/* ---- both frames ---- */
UP_INLINE real up_min(real a, real b) { return up_select(a < b, a, b); }
UP_INLINE real up_max(real a, real b) { return up_select(a > b, a, b); }
UP_INLINE real up_heav(real x) { return up_select(x < 0, UP_C(0.0), UP_C(1.0)); }
UP_INLINE real up_square(real x) { return x * x; }
UP_INLINE real up_cube(real x) { return x * x * x; }
UP_INLINE real up_pow4(real x) { return up_square(up_square(x)); }
UP_INLINE real up_pow5(real x) { return x * up_pow4(x); }
UP_INLINE real up_pow6(real x) { return up_square(up_cube(x)); }
UP_INLINE real up_pow7(real x) { return x * up_pow6(x); }
UP_INLINE real up_pow8(real x) { return up_square(up_pow4(x)); }

/* A derivative whose parts overflow, as of 1/(1 + e^x) for large x, is as good as 0. */
UP_INLINE real up_finite(real x) { return up_select(up_nonfinite(x), 0, x); }

/* (e^a - 1)/a, the growth of dx/dt = slope x + c over dt relative to Euler's; a = slope dt. */
UP_INLINE real up_phi(real a) { return up_select(a == 0, 1, up_div(up_expm1(a), up_select(a == 0, 1, a))); }
