"""The models that the dear tests take. All models are checked against their figures in numeric/test_models.py."""

#: small and large, with and without gates: what compilers are asked to optimise fully
SAMPLE_MODELS = ("AlievPanfilov", "HodgkinHuxley", "MitchellSchaeffer", "tenTusscherPanfilov", "OHara")

#: every method for stiff equations in one model: at dt = 0.02 ms forward Euler fails in each state but V
STIFF = """
V; .external(Vm); .nodal(); .units(mV); .method(sundnes);
Iion; .external(); .units(uA/cm^2);
group { g = 0.3; E = -70; }.param();
V_init = -60; m_init = 0.2; p_init = 0.5;
m_inf = 1/(1 + exp(-(V + 40)/9)); tau_m = 0.002 + 0.001*exp(-square(V + 30)/100); m; .method(sundnes);
diff_p = 300*(m + 0.1 - p*p*p); p; .method(sundnes);
Iion = g*(V - E)*(m + p);
"""
