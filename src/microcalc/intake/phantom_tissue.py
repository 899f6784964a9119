"""proto."""
from functools import lru_cache
import numpy as np
import scipy.fft
N=576
S=512
@lru_cache
def shape_of(beta):
    fy=scipy.fft.fftfreq(N)[:,None]; fx=scipy.fft.rfftfreq(N)[None,:]
    f=np.hypot(fy,fx); f[0,0]=1; p=f**(-beta); p[0,0]=0
    w=np.full(p.shape[1],2.0); w[0]=1; w[-1]=1
    p*=N**2/(p*w).sum()*N**2/2
    white=np.full_like(p,N**2/2); white[0,0]=0
    return p.astype(np.float32), white.astype(np.float32)
def texture(rng, sd, noise, beta=3.0):
    p,w=shape_of(beta)
    a=np.sqrt(p*np.float32(sd**2)+w*np.float32(noise**2))
    z=rng.standard_normal((N,N//2+1,2),dtype=np.float32).view(np.complex64)[...,0]
    z*=a
    return scipy.fft.irfft2(z,s=(N,N),overwrite_x=True)[32:32+S,32:32+S]
def strands(rng,img,m):
    x=np.arange(S)-S/2
    for _ in range(rng.poisson(14)):
        angle=rng.normal(0,0.5); slope=np.tan(angle); target=img
        if abs(slope)>1: slope=1/slope; target=img.T
        wob=rng.normal(0,6)*np.sin(2*np.pi*(x/rng.uniform(150,400)+rng.random()))
        centre=rng.uniform(-60,S+60)+slope*x+rng.normal(0,.12)*x*x/256+wob
        sig=rng.uniform(1.2,4.0)*m*np.sqrt(1+slope**2)
        fade=np.exp(-((x-rng.uniform(-256,256))/rng.uniform(80,260))**2)
        amp=rng.uniform(300,1300)*fade
        h=int(3*sig)+1
        rows=np.rint(centre).astype(int)[None]+np.arange(-h,h+1)[:,None]
        v=amp[None]*np.exp(-.5*((rows-centre[None])/sig)**2)
        ok=(rows>=0)&(rows<S); cols=np.broadcast_to(np.arange(S)[None],rows.shape)
        target[rows[ok],cols[ok]]+=v[ok]
def noise_tissue(rng,m=1.0):
    base=rng.uniform(17000,33000); sd=rng.uniform(1500,2400)*np.sqrt(m)
    img=np.ascontiguousarray(texture(rng,sd,200.))
    strands(rng,img,m)
    ramp=rng.normal(0,1500,2)
    x=np.linspace(-1,1,S,dtype=np.float32)
    img+=np.float32(base)+np.float32(ramp[0])*x[:,None]+np.float32(ramp[1])*x[None]
    return img
