import { serveLab } from './lab-serve.ts'

serveLab()
